"""Delivery Log: one row a delivery, which is claimed and ordered as the events of the inbox are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from integration_hub.stores.database import Row, chunks, in_list, in_transaction, insert_many
from integration_hub.stores.ids import key, new_id
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.work_table import OUTBOX

DOCTYPE = OUTBOX.doctype
SETTLED = ("Delivered", "Unchanged")
REPLAYABLE = ("Delivered", "Unchanged", "Rejected", "Failed", "Dead", "Conflict", "Pending")
_CHUNK = 1000
_DAY = 86_400.0
_COLUMNS = (
	*("name", "status", "stream", "integration", "reference_doctype", "document", "operation"),
	*("ordering_key", "external_id", "payload", "backfill", "error"),
)


def ordering_key(stream: str, document: str) -> str:
	"""Return what deliveries of one document in one stream have in common: they are sent one at a time."""
	return key(stream, document)[:40]


def delivery_name(is_backfill: bool) -> str:
	"""Return a name that sorts by time; that of a backfill sorts behind all others."""
	return f"f{new_id()[1:]}" if is_backfill else new_id()


def add(runtime: Runtime, rows: Sequence[dict[str, Any]]) -> None:
	"""Add deliveries that wait, within the current transaction."""
	now, owner = runtime.now(), runtime.owner()
	same = dict.fromkeys(("creation", "modified", "next_attempt_at"), now)
	same |= {"owner": owner, "modified_by": owner}
	insert_many(runtime.db, DOCTYPE, _COLUMNS, [[row.get(name) for name in _COLUMNS] for row in rows], same)


def renew_waiting(runtime: Runtime, name: str, operation: str) -> bool:
	"""Have a waiting delivery stand for one more change, within the current transaction; False if it no longer waits.

	What has failed is tried now: the document is another one than it was.
	"""
	now = runtime.now()
	sql = f"""UPDATE `tab{DOCTYPE}` SET `operation` = %s, `modified` = %s, `next_attempt_at` = %s, `turn` = 0
		WHERE `name` = %s AND COALESCE(`status`, '') IN {OUTBOX.waiting}"""
	return bool(runtime.db.execute(sql, [operation, now, now, name]))


def waiting(runtime: Runtime, keys: Iterable[str]) -> dict[str, Row]:
	"""Return the waiting deliveries by their ordering keys; of several the last."""
	marks, values = in_list(sorted(set(keys)))
	sql = f"""SELECT `name`, `ordering_key`, `backfill` FROM `tab{DOCTYPE}`
		WHERE `ordering_key` IN ({marks}) AND `status` IN {OUTBOX.waiting} ORDER BY `name`"""
	return {row["ordering_key"]: row for row in runtime.db.query(sql, values)}


def move_lane(runtime: Runtime, stream: str, document: str) -> None:
	"""Have the waiting deliveries of a document that was renamed wait in its present lane, within the current transaction."""
	lane = ordering_key(stream, document)
	sql = f"""UPDATE `tab{DOCTYPE}` SET `ordering_key` = %s, `turn` = 0
		WHERE `document` = %s AND `stream` = %s AND `ordering_key` <> %s AND `status` IN {OUTBOX.waiting}"""
	runtime.db.execute(sql, [lane, document, stream, lane])


def drop(runtime: Runtime, names: Sequence[str]) -> None:
	"""Delete waiting deliveries that another one stands for, within the current transaction."""
	marks, values = in_list(names)
	where = f"`name` IN ({marks}) AND COALESCE(`status`, '') IN {OUTBOX.waiting}"
	runtime.db.execute(f"DELETE FROM `tab{DOCTYPE}` WHERE {where}", values)


def load(runtime: Runtime, names: Sequence[str]) -> list[Row]:
	"""Return deliveries by name, whole."""
	marks, values = in_list(names)
	return runtime.db.query(f"SELECT * FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})", values)


def open_request(runtime: Runtime, stream: str, document: str) -> Row | None:
	"""Return the last delivery of a document with a request whose outcome is unknown, None if there is none."""
	sql = f"""SELECT `name`, `open_key`, `open_request`, `payload_hash`, `payload` FROM `tab{DOCTYPE}`
		WHERE `stream` = %s AND `document` = %s AND `open_key` IS NOT NULL ORDER BY `claimed_at` DESC LIMIT 1"""
	return next(iter(runtime.db.query(sql, [stream, document])), None)


def close_requests(runtime: Runtime, stream: str, document: str) -> None:
	"""Forget the requests of a document whose outcome was unknown: it is known now. Within the current transaction."""
	sql = f"""UPDATE `tab{DOCTYPE}` SET `open_key` = NULL, `open_request` = NULL
		WHERE `stream` = %s AND `document` = %s AND `open_key` IS NOT NULL"""
	runtime.db.execute(sql, [stream, document])


def counts(runtime: Runtime) -> list[Row]:
	"""Return how many deliveries each stream has in each state."""
	return runtime.db.query(
		f"""SELECT `stream`, `status`, COUNT(*) AS `deliveries`
			FROM `tab{DOCTYPE}` GROUP BY `stream`, `status` ORDER BY `stream`, `status`"""
	)


def latest(runtime: Runtime, *, stream: str = "", statuses: Sequence[str] = (), limit: int = 20) -> list[Row]:
	"""Return the newest deliveries, newest first."""
	where, values = _where(stream, statuses)
	sql = f"""SELECT `name`, `creation`, `stream`, `document`, `operation`, `status`, `attempts`, `error`
		FROM `tab{DOCTYPE}` WHERE {where} ORDER BY `creation` DESC, `name` DESC LIMIT {int(limit)}"""
	return runtime.db.query(sql, values)


def select(runtime: Runtime, *, stream: str = "", statuses: Sequence[str] = ()) -> list[str]:
	"""Return the names of deliveries, oldest first: of a stream, in states."""
	where, values = _where(stream, statuses)
	sql = f"SELECT `name` FROM `tab{DOCTYPE}` WHERE {where} ORDER BY `name`"
	return [row["name"] for row in runtime.db.query(sql, values)]


def _where(stream: str, statuses: Sequence[str]) -> tuple[str, list[str]]:
	parts, values = ["1 = 1"], []
	if stream:
		parts.append("`stream` = %s")
		values.append(stream)
	if statuses:
		marks, listed = in_list(statuses)
		parts.append(f"`status` IN ({marks})")
		values += listed
	return " AND ".join(parts), values


def requeue(runtime: Runtime, names: Sequence[str], approved: bool = False) -> int:
	"""Have deliveries sent again from the first attempt, but those that are being sent; return how many.

	approved: a person has approved what they would delete.
	"""
	some = chunks(names, _CHUNK)
	return sum(
		in_transaction(runtime.db, lambda part=part: requeue_within(runtime, part, approved)) for part in some
	)


def requeue_within(runtime: Runtime, names: Sequence[str], approved: bool = False) -> int:
	"""Have deliveries sent again, as `requeue` does, within the current transaction.

	What the system has is sent to it once more, too.
	"""
	_forget_sent(runtime, names)
	extra = ", `approved` = 1" if approved else ""
	marks, values = in_list(names)
	return runtime.db.execute(
		f"""UPDATE `tab{DOCTYPE}` SET `status` = '{OUTBOX.untried}', `attempts` = 0, `deferrals` = 0, `turn` = 0,
			`next_attempt_at` = %s, `delivered_at` = NULL, `error` = NULL, `modified` = %s{extra}
			WHERE `name` IN ({marks}) AND COALESCE(`status`, '') <> '{OUTBOX.taken}'""",
		[runtime.now(), runtime.now(), *values],
	)


def _forget_sent(runtime: Runtime, names: Sequence[str]) -> None:
	"""Forget what was sent last of the documents of settled deliveries."""
	marks, values = in_list(names)
	states, settled = in_list(SETTLED)
	sql = f"SELECT `stream`, `document` FROM `tab{DOCTYPE}` WHERE `name` IN ({marks}) AND `status` IN ({states})"
	for row in runtime.db.query(sql, [*values, *settled]):
		forget = (
			"UPDATE `tabExternal Record` SET `sent_hash` = NULL WHERE `target_name` = %s AND `stream` = %s"
		)
		runtime.db.execute(forget, [row["document"], row["stream"]])


def clear_deliveries(runtime: Runtime, days: int) -> int:
	"""Delete deliveries that were settled `days` ago; return how many. What waits, or waits for a person, stays."""
	marks, values = in_list((*SETTLED, "Rejected"))
	where = f"`status` IN ({marks}) AND `modified` < %s AND `open_key` IS NULL"

	def some() -> int:
		sql = f"SELECT `name` FROM `tab{DOCTYPE}` WHERE {where} ORDER BY `name` LIMIT {_CHUNK}"
		old = [*values, runtime.now(ahead=-days * _DAY)]
		names = [row["name"] for row in runtime.db.query(sql, old)]
		inner, listed = in_list(names)
		return runtime.db.execute(
			f"DELETE FROM `tab{DOCTYPE}` WHERE `name` IN ({inner}) AND {where}", [*listed, *old]
		)

	total = 0
	while found := in_transaction(runtime.db, some):
		total += found
	return total
