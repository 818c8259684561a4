"""How long events are kept, by state: deleted in pieces, a transaction each, so that no table is locked for long."""

from __future__ import annotations

from collections.abc import Callable

from integration_hub.stores.database import in_list, in_transaction
from integration_hub.stores.home import Home
from integration_hub.stores.inbox import DOCTYPE

CHUNK = 1000
# State → the field of Integration Settings that says how many days; 0 keeps them.
FIELDS = {"Dead": "keep_dead_days", "Unrouted": "keep_unrouted_days", "Conflict": "keep_conflict_days"}
_DAY = 86_400.0


def clear_inbox(home: Home, completed_days: int) -> int:
	"""Delete events that are older than their state is kept, drop bodies; return how many rows went.

	completed_days: how long Completed rows are kept, of all integrations. What is still to be handled is never
	deleted.
	"""
	count = _delete(home, "`status` = 'Completed'", [], completed_days)
	columns = ", ".join(f"`{field}`" for field in (*FIELDS.values(), "keep_payload_days"))
	for row in home.db.query(f"SELECT `name`, {columns} FROM `tabIntegration Settings`"):
		for status, field in FIELDS.items():
			if row[field]:
				where = "`status` = %s AND `integration` = %s"
				count += _delete(home, where, [status, row["name"]], row[field])
		if row["keep_payload_days"]:
			_drop_bodies(home, row["name"], row["keep_payload_days"])
	return count


def _delete(home: Home, where: str, values: list[str], days: int) -> int:
	def some() -> int:
		names = _old(home, where, values, days)
		marks, listed = in_list(names)
		# The state is looked at again: somebody may have it handled again just now.
		return home.db.execute(
			f"DELETE FROM `tab{DOCTYPE}` WHERE `name` IN ({marks}) AND {where}", [*listed, *values]
		)

	return _in_pieces(home, some)


def _drop_bodies(home: Home, integration: str, days: int) -> int:
	where = "`status` = 'Completed' AND `integration` = %s AND `payload` IS NOT NULL"

	def some() -> int:
		marks, listed = in_list(_old(home, where, [integration], days))
		sql = f"UPDATE `tab{DOCTYPE}` SET `payload` = NULL, `headers` = NULL WHERE `name` IN ({marks}) AND {where}"
		return home.db.execute(sql, [*listed, integration])

	return _in_pieces(home, some)


def _old(home: Home, where: str, values: list[str], days: int) -> list[str]:
	sql = f"SELECT `name` FROM `tab{DOCTYPE}` WHERE {where} AND `modified` < %s ORDER BY `name` LIMIT {CHUNK}"
	return [row["name"] for row in home.db.query(sql, [*values, home.now(ahead=-days * _DAY)])]


def _in_pieces(home: Home, some: Callable[[], int]) -> int:
	total = 0
	while count := in_transaction(home.db, some):
		total += count
	return total
