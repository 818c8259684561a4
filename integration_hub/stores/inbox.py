"""Webhook Log: one row an event, however it came in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from integration_hub.lazy_messages import _
from integration_hub.stores.database import (
	Outdated,
	Row,
	as_it_is,
	chunks,
	in_list,
	in_transaction,
	insert_new,
)
from integration_hub.stores.ids import key, new_ids
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.stores.work_table import INBOX

DOCTYPE = INBOX.doctype
UNSETTLED = ("Queued", "Processing", "Failed", "Dead", "Unrouted", "Conflict")

Verdict = Literal["received", "duplicate", "conflict"]


@dataclass(frozen=True)
class Event:
	"""One event as it arrived. `body_hash` tells a repeat from another body.

	other_body: what it is where its id is known, with another body.
	event_time: when it happened, as its sender says (UTC). unsigned: what of «id, type, time» the sender does not sign.
	held: why a person has to look at it before it is handled, "" if nobody has to.
	"""

	integration: str
	event_id: str
	event_type: str
	payload: str
	body_hash: str
	door: Literal["HTTP", "Queue"]
	headers: str = ""
	unrouted: bool = False
	ordering_key: str = ""
	other_body: Literal["Conflict", "Duplicate", "New"] = "Conflict"
	event_time: str = ""
	unsigned: str = ""
	held: str = ""

	@property
	def key(self) -> str:
		"""Return what makes it one event: senders tell several things that one action did under one id."""
		return event_key(self.integration, self.event_id, self.event_type)

	@property
	def body_key(self) -> str:
		"""Return what tells it from one with the same key and another body."""
		return event_key(self.integration, self.event_id, self.event_type, self.body_hash)

	@property
	def status(self) -> str:
		"""Return the status of the row as it is stored."""
		return "Conflict" if self.held else "Unrouted" if self.unrouted else "Queued"

	@property
	def verdict(self) -> Verdict:
		"""Return the verdict its sender gets if it is new."""
		return "conflict" if self.held else "received"


def event_key(integration: str, event_id: str, event_type: str, *body_hash: str) -> str:
	"""Return the unique key of an event; with the hash of its body, of this body of it."""
	return key("event", integration, event_id, event_type, *body_hash)


def store(runtime: Runtime, events: Sequence[Event]) -> list[Verdict]:
	"""Add events and commit them: the unique key decides, not a look before. Not within a transaction.

	The same id, type and body again counts a delivery; another body is what `other_body` says: a row in Conflict,
	the same delivery, or an event of its own.
	All of it is one transaction: a sender that gets a failure and repeats the events finds none of them here.
	"""
	if not events:
		return []
	rows = [
		_row(name, event, event.key, event.status)
		for name, event in zip(new_ids(len(events)), events, strict=True)
	]

	tried = 0

	def add() -> list[Verdict]:
		nonlocal tried
		tried += 1
		# The insert comes first: it waits for the rows that are in its way.
		new = _insert(runtime, rows if tried == 1 else _missing(runtime, rows))
		if len(new) == len(rows):
			return [event.verdict for event in events]
		known = [event for event, row in zip(events, rows, strict=True) if row[0] not in new]
		return _Known(runtime, known).verdicts(events, rows, new)

	return in_transaction(runtime.db, add, 4 if len(events) == 1 else _ATTEMPTS)


def _missing(runtime: Runtime, rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
	"""Return the rows whose key is not seen, for an insert that was in the way of others: it waits for fewer then."""
	seen: set[str] = set()
	for some in chunks([row[1] for row in rows], 1000):
		marks, values = in_list(some)
		sql = f"SELECT `event_key` FROM `tab{DOCTYPE}` WHERE `event_key` IN ({marks})"
		seen |= {row["event_key"] for row in runtime.db.query(sql, values)}
	return [row for row in rows if row[1] not in seen]


class _Known:
	"""The rows that were there before some of the events to store, within the transaction that stores them."""

	def __init__(self, runtime: Runtime, events: Sequence[Event]) -> None:
		self.runtime = runtime
		self._found = _find(runtime, {event.key for event in events})
		self._repeated: Counter[str] = Counter()

	def verdicts(
		self, events: Sequence[Event], rows: Sequence[tuple[str, ...]], new: set[str]
	) -> list[Verdict]:
		"""Return a verdict for each event, and count the deliveries of what is repeated. new: names of rows just made."""
		found = [
			event.verdict if row[0] in new else self._verdict(event, row[0])
			for event, row in zip(events, rows, strict=True)
		]
		_count_deliveries(self.runtime, self._repeated)
		return found

	def _verdict(self, event: Event, name: str) -> Verdict:
		"""Return the verdict on an event whose key there is already; `name` is what its own row would be called."""
		found = self._found[event.key]
		# An earlier attempt has made it, whose commit was only believed to have failed.
		if found["name"] == name:
			return event.verdict
		if event.other_body == "Duplicate" or found["body_hash"] == event.body_hash:
			self._repeated[event.key] += 1
			return "duplicate"
		status = event.status if event.other_body == "New" else "Conflict"
		if self._is_repeated(event, name, status):
			self._repeated[event.body_key] += 1
			return "conflict" if status == "Conflict" else "duplicate"
		return "conflict" if status == "Conflict" else "received"

	def _is_repeated(self, event: Event, name: str, status: str) -> bool:
		"""Make the row of an event whose key another body has; tell whether there was one."""
		if _insert(self.runtime, [_row(name, event, event.body_key, status)]):
			return False
		return _find(self.runtime, [event.body_key])[event.body_key]["name"] != name


def _find(runtime: Runtime, keys: Collection[str]) -> dict[str, Row]:
	"""Return rows by key, as they are now; raises Outdated where one is missing."""
	found: dict[str, Row] = {}
	for some in chunks(sorted(keys), 1000):
		marks, values = in_list(some)
		sql = f"""SELECT `event_key`, `name`, `body_hash` FROM `tab{DOCTYPE}` WHERE `event_key` IN ({marks})
			{as_it_is(runtime.db)}"""
		found |= {row["event_key"]: row for row in runtime.db.query(sql, values)}
	if len(found) < len(keys):
		raise Outdated("An event that was there a moment ago was deleted meanwhile.")
	return found


_COLUMNS = (
	"name",
	"event_key",
	"status",
	"integration",
	"event_type",
	"event_id",
	"door",
	"ordering_key",
	"payload",
	"headers",
	"body_hash",
	"event_time",
	"unsigned",
	"error",
)


_PAYLOAD = _COLUMNS.index("payload")
_ATTEMPTS = 10  # of several rows at once, with which many others may overlap
_MOST_CHARACTERS = 1_000_000  # of payloads in one statement, which databases limit


def _row(name: str, event: Event, event_key: str, status: str) -> tuple[str, ...]:
	return (
		name,
		event_key,
		status,
		event.integration,
		event.event_type,
		event.event_id[:255],
		event.door,
		event.ordering_key,
		event.payload,
		event.headers,
		event.body_hash,
		event.event_time,
		event.unsigned,
		event.held,
	)


def _insert(runtime: Runtime, rows: Sequence[tuple[str, ...]]) -> set[str]:
	"""Insert the rows whose key is new; return the names of those."""
	now, owner = runtime.now(), runtime.owner()
	same = dict.fromkeys(("creation", "modified", "received_at", "next_attempt_at"), now)
	same |= {"owner": owner, "modified_by": owner, "deliveries": 1}
	names = [row[0] for row in rows]
	if not names:
		return set()
	# In the order of the keys: two transactions that have some in common do not wait for each other crosswise.
	ordered = sorted(rows, key=lambda row: row[1])
	added = sum(
		insert_new(runtime.db, DOCTYPE, _COLUMNS, some, same, key="event_key")
		for some in _statements(ordered)
	)
	if added in (0, len(rows)):
		return set(names if added else ())
	return {row["name"] for some in chunks(names, 1000) for row in _named(runtime, some)}


def _named(runtime: Runtime, names: Sequence[str]) -> list[Row]:
	marks, values = in_list(names)
	return runtime.db.query(f"SELECT `name` FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})", values)


def _statements(rows: Sequence[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
	"""Cut rows into statements whose length a database takes; a row that is longer by itself is one."""
	some: list[tuple[str, ...]] = []
	size = 0
	for row in rows:
		if some and size + len(row[_PAYLOAD]) > _MOST_CHARACTERS:
			yield some
			some, size = [], 0
		some.append(row)
		size += len(row[_PAYLOAD]) + len(row[_PAYLOAD + 1])
	yield some


def _count_deliveries(runtime: Runtime, repeated: Mapping[str, int]) -> None:
	for times in sorted(set(repeated.values())):
		keys = sorted(key for key, count in repeated.items() if count == times)
		for some in chunks(keys, 1000):
			marks, values = in_list(some)
			sql = f"""UPDATE `tab{DOCTYPE}` SET `deliveries` = `deliveries` + {int(times)}
				WHERE `event_key` IN ({marks})"""
			runtime.db.execute(sql, values)


def counts(runtime: Runtime, integration: str) -> dict[str, int]:
	"""Return how many events an integration has in each state but Completed, which nearly all are in."""
	marks, states = in_list(UNSETTLED)
	sql = f"""SELECT `status`, COUNT(*) AS `n` FROM `tab{DOCTYPE}`
		WHERE `integration` = %s AND `status` IN ({marks}) GROUP BY `status`"""
	return {row["status"]: row["n"] for row in runtime.db.query(sql, [integration, *states])}


def select(
	runtime: Runtime,
	*,
	integration: str = "",
	statuses: Sequence[str] = (),
	since: str = "",
	error_log: str = "",
) -> list[str]:
	"""Return the names of events, oldest first: of an integration, in states, received since a time, whose last
	attempt failed with a failure of the error log."""
	where, values = _where(integration, statuses, since)
	if error_log:
		where += " AND `error_log` = %s"
		values.append(error_log)
	sql = f"SELECT `name` FROM `tab{DOCTYPE}` WHERE {where} ORDER BY `name`"
	return [row["name"] for row in runtime.db.query(sql, values)]


def _where(integration: str, statuses: Sequence[str], since: str) -> tuple[str, list[str]]:
	conditions, values = ["1 = 1"], []
	if integration:
		conditions.append("`integration` = %s")
		values.append(integration)
	if statuses:
		marks, listed = in_list(statuses)
		conditions.append(f"`status` IN ({marks})")
		values += listed
	if since:
		conditions.append("`received_at` >= %s")
		values.append(since)
	return " AND ".join(conditions), values


def load(runtime: Runtime, names: Sequence[str]) -> list[Row]:
	"""Return events whole."""
	marks, values = in_list(names)
	return runtime.db.query(f"SELECT * FROM `tab{DOCTYPE}` WHERE `name` IN ({marks}) ORDER BY `name`", values)


def first_of(runtime: Runtime, row: Row) -> Row | None:
	"""Return the event that came first under the id and type of another one, None if there is none."""
	found = event_key(row["integration"], row["event_id"], row["event_type"] or "")
	sql = f"SELECT `name`, `payload` FROM `tab{DOCTYPE}` WHERE `event_key` = %s AND `name` <> %s"
	return next(iter(runtime.db.query(sql, [found, row["name"]])), None)


def integrations_of(runtime: Runtime, names: Sequence[str]) -> set[str]:
	"""Return the integrations that events belong to; raises HubError for a name that is no event."""
	found: dict[str, str] = {}
	for some in chunks(names, 1000):
		marks, values = in_list(some)
		sql = f"SELECT `name`, `integration` FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})"
		found |= {row["name"]: row["integration"] for row in runtime.db.query(sql, values)}
	if missing := next((name for name in names if name not in found), None):
		raise HubError(_("does not exist"), doctype=DOCTYPE, name=missing)
	return set(found.values())


def latest(
	runtime: Runtime, *, integration: str = "", statuses: Sequence[str] = (), limit: int = 20
) -> list[Row]:
	"""Return the newest events, newest first, without their payloads."""
	where, values = _where(integration, statuses, "")
	sql = f"""SELECT `name`, `received_at`, `integration`, `event_type`, `status`, `attempts`, `error`
		FROM `tab{DOCTYPE}` WHERE {where} ORDER BY `name` DESC LIMIT {int(limit)}"""
	return runtime.db.query(sql, values)


def requeue(runtime: Runtime, names: Sequence[str], conflicts: bool = False) -> int:
	"""Have events handled (again) from the beginning; return how many.

	Those being handled now are left, and so are conflicts, and those whose body is no longer kept.
	conflicts: of these events only the conflicts, each as an event of its own: its key is already. What its sender
	does not sign is believed then: a person has looked at it.
	"""
	believed = ", `unsigned` = NULL" if conflicts else ""
	which = "= 'Conflict'" if conflicts else "NOT IN ('Processing', 'Conflict')"

	def back(some: Sequence[str]) -> int:
		marks, values = in_list(some)
		return runtime.db.execute(
			f"""UPDATE `tab{DOCTYPE}` SET `status` = 'Queued', `attempts` = 0, `deferrals` = 0, `turn` = 0,
				`next_attempt_at` = %s, `completed_at` = NULL, `error` = NULL, `modified` = %s{believed}
				WHERE `name` IN ({marks}) AND `status` {which}
				AND `payload` IS NOT NULL""",
			[runtime.now(), runtime.now(), *values],
		)

	return sum(in_transaction(runtime.db, lambda some=some: back(some)) for some in chunks(names, 1000))
