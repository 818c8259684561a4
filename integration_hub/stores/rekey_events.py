"""Keys of events as they are made now, for those that came before: what is sent again is known."""

from __future__ import annotations

from integration_hub.stores.database import Database, Row, in_list, in_transaction
from integration_hub.stores.ids import key
from integration_hub.stores.inbox import DOCTYPE, event_key

_AT_ONCE = 1000


def rekey(db: Database) -> None:
	"""Give events the keys that integration, id and type make; formerly the type was none of it.

	What is keyed so already, or in another way, is left. What is stopped in its midst goes on when it is run again.
	"""
	last = ""
	while rows := _next(db, last):
		last = rows[-1]["name"]
		in_transaction(db, lambda rows=rows: _rekey(db, rows))


def _next(db: Database, last: str) -> list[Row]:
	columns = "`name`, `integration`, `event_id`, `event_type`, `body_hash`, `event_key`"
	sql = f"SELECT {columns} FROM `tab{DOCTYPE}` WHERE `name` > %s ORDER BY `name` LIMIT {_AT_ONCE}"
	return db.query(sql, [last])


def _rekey(db: Database, rows: list[Row]) -> None:
	new: dict[str, str] = {}
	firsts, conflicts = [], []
	for row in rows:
		identity = (row["integration"] or "", row["event_id"] or "")
		if row["event_key"] == key(*identity):
			firsts.append(row)
		elif row["event_key"] == key(*identity, row["body_hash"] or ""):
			conflicts.append(row)
	new |= {row["name"]: event_key(*_identity(row)) for row in firsts}
	taken = set(new.values()) | _there(db, [event_key(*_identity(row)) for row in conflicts])
	for row in conflicts:
		# With a type of its own it was an event of its own, and is one now.
		alone = event_key(*_identity(row))
		new[row["name"]] = event_key(*_identity(row), row["body_hash"] or "") if alone in taken else alone
		taken.add(alone)
	if new:
		cases = " ".join(["WHEN %s THEN %s"] * len(new))
		marks, names = in_list(new)
		db.execute(
			f"UPDATE `tab{DOCTYPE}` SET `event_key` = CASE `name` {cases} END WHERE `name` IN ({marks})",
			[*(part for pair in new.items() for part in pair), *names],
		)


def _identity(row: Row) -> tuple[str, str, str]:
	return row["integration"] or "", row["event_id"] or "", row["event_type"] or ""


def _there(db: Database, keys: list[str]) -> set[str]:
	if not keys:
		return set()
	marks, values = in_list(keys)
	sql = f"SELECT `event_key` FROM `tab{DOCTYPE}` WHERE `event_key` IN ({marks})"
	return {row["event_key"] for row in db.query(sql, values)}
