"""Webhook Log: one row an event, whichever door it came through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from integration_hub.stores.database import Row, in_list, in_transaction, insert, update
from integration_hub.stores.home import Home
from integration_hub.stores.ids import key, new_id

DOCTYPE = "Webhook Log"
WAITING = "('Queued', 'Failed')"  # states that a drain takes up when they are due

Verdict = Literal["received", "duplicate", "conflict"]


@dataclass(frozen=True)
class Event:
	"""One event as it arrived. `body_hash` tells a repeat from a conflict."""

	integration: str
	event_id: str
	event_type: str
	payload: str
	body_hash: str
	door: Literal["HTTP", "Queue"]
	headers: str = ""
	unrouted: bool = False
	ordering_key: str = ""

	@property
	def key(self) -> str:
		return key(self.integration, self.event_id)


def store(home: Home, events: Sequence[Event]) -> list[Verdict]:
	"""Add events and commit them: the unique key decides, not a look before. Not within a transaction.

	The same id and body again counts a delivery; another body under the same id becomes a Conflict row.
	Which of the two it is is looked up in a second transaction: the first one's snapshot may be older than
	the row that was in its way.
	"""

	def add() -> list[bool]:
		return [
			_insert(home, event, event.key, "Unrouted" if event.unrouted else "Queued") for event in events
		]

	added = in_transaction(home.db, add)
	if all(added):
		return ["received"] * len(events)

	def known() -> list[Verdict]:
		return [
			"received" if new else _repeated(home, event) for event, new in zip(events, added, strict=True)
		]

	return in_transaction(home.db, known)


def _repeated(home: Home, event: Event) -> Verdict:
	found = home.db.query(
		f"SELECT `name`, `body_hash` FROM `tab{DOCTYPE}` WHERE `event_key` = %s", [event.key]
	)
	if found and found[0]["body_hash"] == event.body_hash:
		_count_delivery(home, event.key)
		return "duplicate"
	conflict = key(event.integration, event.event_id, event.body_hash)
	if not _insert(home, event, conflict, "Conflict"):
		_count_delivery(home, conflict)
	return "conflict"


def _insert(home: Home, event: Event, event_key: str, status: str) -> bool:
	now, owner = home.now(), home.owner()
	row = {
		"name": new_id(),
		"creation": now,
		"modified": now,
		"owner": owner,
		"modified_by": owner,
		"integration": event.integration,
		"event_type": event.event_type,
		"event_id": event.event_id[:255],
		"door": event.door,
		"status": status,
		"received_at": now,
		"next_attempt_at": now,
		"ordering_key": event.ordering_key,
		"deliveries": 1,
		"payload": event.payload,
		"headers": event.headers,
		"event_key": event_key,
		"body_hash": event.body_hash,
	}
	try:
		with home.db.savepoint():
			insert(home.db, DOCTYPE, row)
	except Exception as error:
		if home.db.is_duplicate(error):
			return False
		raise
	return True


def _count_delivery(home: Home, event_key: str) -> None:
	sql = f"UPDATE `tab{DOCTYPE}` SET `deliveries` = `deliveries` + 1 WHERE `event_key` = %s"
	home.db.execute(sql, [event_key])


def claim_due(home: Home, integration: str, size: int) -> list[Row]:
	"""Take up to `size` due rows, oldest first; each belongs to one claimant. Its own transaction.

	The attempt is counted here, before anything can go wrong: an event that kills its worker is counted too.
	A row that was tried before is taken alone, so that it takes no other with it.

	Picking and taking are two statements, so that one form serves every database: the condition is
	checked again in the second, and a row that another claimant took in between is not in ours.
	"""
	claim = new_id()

	def take() -> None:
		names = _due(home, integration, size)
		marks, values = in_list(names)
		if names:
			home.db.execute(
				f"""UPDATE `tab{DOCTYPE}` SET `status` = 'Processing', `claim` = %s, `claimed_at` = %s,
					`attempts` = `attempts` + 1
					WHERE `name` IN ({marks}) AND `status` IN {WAITING}""",
				[claim, home.now(), *values],
			)

	in_transaction(home.db, take)
	return home.db.query(f"SELECT * FROM `tab{DOCTYPE}` WHERE `claim` = %s ORDER BY `name`", [claim])


def settle(home: Home, row: Row, **values: Any) -> bool:
	"""Write the end of an attempt, in the handler's transaction; False if the claim was lost meanwhile."""
	end = {"modified": home.now(), "claim": None, **values}
	return bool(
		update(
			home.db,
			DOCTYPE,
			row["name"],
			end,
			where="`claim` = %(_claim)s AND `status` = 'Processing'",
			_claim=row["claim"],
		)
	)


def _due(home: Home, integration: str, size: int) -> list[str]:
	sql = f"""SELECT `name`, `attempts` FROM `tab{DOCTYPE}`
		WHERE `integration` = %s AND `status` IN {WAITING} AND `next_attempt_at` <= %s
		ORDER BY `name` LIMIT {int(size)}"""
	rows = home.db.query(sql, [integration, home.now()])
	if rows and rows[0]["attempts"]:
		return [rows[0]["name"]]
	return [row["name"] for row in rows if not row["attempts"]]


def give_back(home: Home, rows: Sequence[Row]) -> None:
	"""Return claimed rows that were not tried, for the next claimant."""
	marks, names = in_list(row["name"] for row in rows)
	claim = rows[0]["claim"]

	def back() -> None:
		home.db.execute(
			f"""UPDATE `tab{DOCTYPE}` SET `status` = 'Queued', `claim` = NULL, `attempts` = `attempts` - 1
				WHERE `claim` = %s AND `status` = 'Processing' AND `name` IN ({marks})""",
			[claim, *names],
		)

	in_transaction(home.db, back)


def release_abandoned(home: Home, seconds: float, max_attempts: int) -> int:
	"""Give back rows whose claimant has been silent for `seconds`, or bury them after the last attempt.

	Returns their number.
	"""
	before = home.now(ahead=-seconds)
	sql = f"SELECT `name` FROM `tab{DOCTYPE}` WHERE `status` = 'Processing' AND `claimed_at` < %s"
	names = [row["name"] for row in home.db.query(sql, [before])]
	marks, values = in_list(names)

	def release() -> None:
		home.db.execute(
			f"""UPDATE `tab{DOCTYPE}` SET
				`status` = CASE WHEN `attempts` >= %s THEN 'Dead' ELSE 'Queued' END,
				`error` = 'The worker that handled it is gone.', `claim` = NULL,
				`next_attempt_at` = %s, `modified` = %s
				WHERE `name` IN ({marks}) AND `status` = 'Processing' AND `claimed_at` < %s""",
			[max_attempts, home.now(), home.now(), *values, before],
		)

	if names:
		in_transaction(home.db, release)
	return len(names)


def integrations_with_due_rows(home: Home) -> list[str]:
	"""Return the integrations that have events to handle now."""
	sql = f"""SELECT DISTINCT `integration` FROM `tab{DOCTYPE}`
		WHERE `status` IN {WAITING} AND `next_attempt_at` <= %s"""
	return [row["integration"] for row in home.db.query(sql, [home.now()])]


def counts(home: Home, integration: str) -> dict[str, int]:
	"""Return how many events an integration has in each state."""
	sql = f"SELECT `status`, COUNT(*) AS `n` FROM `tab{DOCTYPE}` WHERE `integration` = %s GROUP BY `status`"
	return {row["status"]: row["n"] for row in home.db.query(sql, [integration])}


def requeue(home: Home, names: Sequence[str]) -> int:
	"""Have events handled (again) from the beginning; those being handled now are left. Return how many."""
	marks, values = in_list(names)

	def back() -> int:
		return home.db.execute(
			f"""UPDATE `tab{DOCTYPE}` SET `status` = 'Queued', `attempts` = 0, `next_attempt_at` = %s,
				`completed_at` = NULL, `error` = NULL, `modified` = %s
				WHERE `name` IN ({marks}) AND `status` NOT IN ('Processing', 'Conflict')""",
			[home.now(), home.now(), *values],
		)

	return in_transaction(home.db, back)
