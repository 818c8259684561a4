"""Retention of logs: old rows are deleted in pieces, a transaction each, so that no table is locked for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from integration_hub.stores.database import Row, in_list, in_transaction
from integration_hub.stores.deliveries import DOCTYPE as DELIVERIES
from integration_hub.stores.deliveries import clear_deliveries
from integration_hub.stores.failure_closing import close_all_events
from integration_hub.stores.inbox import DOCTYPE
from integration_hub.stores.runtime import Runtime

CHUNK = 1000
# State → the field of Integration Settings that says how many days; 0 keeps them.
FIELDS = {"Dead": "keep_dead_days", "Unrouted": "keep_unrouted_days", "Conflict": "keep_conflict_days"}
# What is settled, of the other two. What waits for a person or may go on stays.
SETTLED = {
	"Sync Log": ("Completed", "Partial", "Failed", "Interrupted", "Postponed"),
	"Integration Error Log": ("Resolved",),
}
_DAY = 86_400.0


# Keeps what fails of one integration (its name, "" for what is of none) from stopping the others.
Guard = Callable[[str], AbstractContextManager[Any]]


def _no_guard(integration: str) -> AbstractContextManager[Any]:
	return nullcontext()


def clear_logs(runtime: Runtime, guard: Guard = _no_guard) -> int:
	"""Delete what is older than the runtime itself keeps (`Runtime.log_days`); return how many rows went."""
	days, count = runtime.log_days(), 0
	if days.get(DOCTYPE):
		count += clear_inbox(runtime, days[DOCTYPE], guard)
	with guard(""):
		count += clear_deliveries(runtime, days[DELIVERIES]) if days.get(DELIVERIES) else 0
	for doctype in SETTLED:
		with guard(""):
			count += clear_settled(runtime, doctype, days[doctype]) if days.get(doctype) else 0
	return count


def clear_settled(runtime: Runtime, doctype: str, days: int) -> int:
	"""Delete rows of a log in SETTLED that were settled `days` ago; return how many went."""
	statuses = SETTLED[doctype]
	where = f"`status` IN ({', '.join(['%s'] * len(statuses))})"
	return _delete(runtime, doctype, where, statuses, days)


def clear_inbox(runtime: Runtime, completed_days: int, guard: Guard = _no_guard) -> int:
	"""Delete events that are older than their state is kept, drop bodies; return how many rows went.

	completed_days: how long Completed rows are kept, of all integrations. What is still to be handled is never
	deleted.
	"""
	count = 0
	with guard(""):
		count += _delete(runtime, DOCTYPE, "`status` = 'Completed'", [], completed_days)
	columns = ", ".join(f"`{field}`" for field in (*FIELDS.values(), "keep_payload_days"))
	for row in runtime.db.query(f"SELECT `name`, {columns} FROM `tabIntegration Settings`"):
		with guard(row["name"]):
			count += _clear_of(runtime, row)
	return count


def _clear_of(runtime: Runtime, row: Row) -> int:
	"""Delete events of one integration as its settings say, drop bodies; return how many rows went."""
	count = 0
	for status, field in FIELDS.items():
		if (days := int(row[field] or 0)) > 0:
			where = "`status` = %s AND `integration` = %s"
			count += _delete(runtime, DOCTYPE, where, [status, row["name"]], days)
	if (days := int(row["keep_payload_days"] or 0)) > 0:
		_drop_bodies(runtime, row["name"], days)
	if count:  # what was given up for good keeps no failure open
		in_transaction(runtime.db, lambda: close_all_events(runtime, row["name"]))
	return count


def _delete(runtime: Runtime, doctype: str, where: str, values: Sequence[str], days: int) -> int:
	def some() -> int:
		names = _old(runtime, doctype, where, values, days)
		marks, listed = in_list(names)
		# The state is looked at again: somebody may have it handled again just now.
		return runtime.db.execute(
			f"DELETE FROM `tab{doctype}` WHERE `name` IN ({marks}) AND {where}", [*listed, *values]
		)

	return _in_chunks(runtime, some)


def _drop_bodies(runtime: Runtime, integration: str, days: int) -> int:
	where = "`status` = 'Completed' AND `integration` = %s AND `payload` IS NOT NULL"

	def some() -> int:
		marks, listed = in_list(_old(runtime, DOCTYPE, where, [integration], days))
		sql = f"UPDATE `tab{DOCTYPE}` SET `payload` = NULL, `headers` = NULL WHERE `name` IN ({marks}) AND {where}"
		return runtime.db.execute(sql, [*listed, integration])

	return _in_chunks(runtime, some)


def _old(runtime: Runtime, doctype: str, where: str, values: Sequence[str], days: int) -> list[str]:
	sql = f"SELECT `name` FROM `tab{doctype}` WHERE {where} AND `modified` < %s ORDER BY `name` LIMIT {CHUNK}"
	return [row["name"] for row in runtime.db.query(sql, [*values, runtime.now(ahead=-days * _DAY)])]


def _in_chunks(runtime: Runtime, some: Callable[[], int]) -> int:
	total = 0
	while count := in_transaction(runtime.db, some):
		total += count
	return total
