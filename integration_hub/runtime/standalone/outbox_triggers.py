"""Triggers that note changes of the standalone runtime's tables in the outbox, whichever program makes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from integration_hub.runtime.standalone.hub_toml import HubFile
from integration_hub.runtime.standalone.open_hub import OpenHub
from integration_hub.stores.bindings import DOCTYPE as RECORDS
from integration_hub.stores.deliveries import DOCTYPE as DELIVERIES
from integration_hub.stores.outbox import DOCTYPE
from integration_hub.stores.sqlite import SQLiteDatabase

_STANDARD = ("name", "creation", "modified", "owner", "modified_by")
# Microseconds since the epoch and ten random digits, as stores.ids.new_id names rows.
_NAME = """printf('%%014x', CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)) || lower(hex(randomblob(5)))"""
_QUIET = "hub_quiet"
_PREFIX = "hub_outbox_"


def write_triggers(runtime: OpenHub) -> None:
	"""Make the triggers of the tables that outbound streams send, and drop all others, within a transaction."""
	runtime.db.execute(f"CREATE TABLE IF NOT EXISTS `{_QUIET}` (`quiet` INTEGER)")
	runtime.db.execute(f"DELETE FROM `{_QUIET}`")
	sql = f"SELECT `name` FROM `sqlite_master` WHERE `type` = 'trigger' AND `name` LIKE '{_PREFIX}%%'"
	for row in runtime.db.query(sql):
		runtime.db.execute(f"DROP TRIGGER `{row['name']}`")
	for statement in _statements(runtime.file):
		runtime.db.execute(statement)


def _statements(file: HubFile) -> Iterator[str]:
	streams = (values for values in file.streams.values() if values.get("direction") == "Out")
	for table in sorted({values["target_doctype"] for values in streams}):
		yield from _of_documents(table)
		for field in file.tables[table].values():
			if field["fieldtype"] == "Table":
				yield from _of_children(table, field["options"])


def _of_documents(table: str) -> Iterator[str]:
	yield _trigger(table, "INSERT", "", [_note(table, "NEW.`name`", "created")])
	moves = [
		f"UPDATE `tab{RECORDS}` SET `target_name` = NEW.`name` "
		f"WHERE `target_name` = OLD.`name` AND `target_doctype` = {_text(table)}",
		f"UPDATE `tab{DELIVERIES}` SET `document` = NEW.`name` "
		f"WHERE `document` = OLD.`name` AND `reference_doctype` = {_text(table)}",
		_note(table, "NEW.`name`", "renamed", "OLD.`name`"),
	]
	yield _trigger(table, "UPDATE", "renamed", moves, "OLD.`name` <> NEW.`name`")
	yield _trigger(table, "UPDATE", "", [_note(table, "NEW.`name`", "updated")], "OLD.`name` = NEW.`name`")
	yield _trigger(table, "DELETE", "", [_note(table, "OLD.`name`", "deleted")])


def _of_children(table: str, children: str) -> Iterator[str]:
	for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
		there = f"EXISTS (SELECT 1 FROM `tab{table}` WHERE `name` = {row}.`parent`)"
		where = f"{row}.`parenttype` = {_text(table)} AND {there}"
		yield _trigger(children, event, f"of {table}", [_note(table, f"{row}.`parent`", "updated")], where)


def _trigger(table: str, event: str, suffix: str, actions: Iterable[str], where: str = "1 = 1") -> str:
	name = f"{_PREFIX}{table} {event} {suffix}".strip()
	body = "; ".join(actions)
	return (
		f"CREATE TRIGGER `{name}` AFTER {event} ON `tab{table}` "
		f"WHEN {where} AND NOT EXISTS (SELECT 1 FROM `{_QUIET}`) BEGIN {body}; END"
	)


def _note(table: str, document: str, operation: str, note: str = "''") -> str:
	now = "strftime('%%Y-%%m-%%d %%H:%%M:%%f000', 'now')"
	values = [_NAME, now, now, _text(table), document, _text(operation), "''", note]
	columns = ("name", "creation", "modified", "reference_doctype", "document", "operation", "stream", "note")
	listed = ", ".join(f"`{column}`" for column in columns)
	return f"INSERT INTO `tab{DOCTYPE}` ({listed}) VALUES ({', '.join(values)})".replace("%%", "%")


def _text(value: str) -> str:
	return "'" + value.replace("'", "''") + "'"


@contextmanager
def quiet(db: SQLiteDatabase) -> Iterator[None]:
	"""Have the triggers note nothing for a block within a transaction: nobody else writes meanwhile."""
	db.execute(f"INSERT INTO `{_QUIET}` VALUES (1)")
	yield
	db.execute(f"DELETE FROM `{_QUIET}`")


def read_row(runtime: Any, doctype: str, name: str) -> Mapping[str, Any] | None:
	"""Return a row of a table with its child rows, None if there is none."""
	target = runtime.target(doctype, "Bulk")
	found = target.values([name], [*_STANDARD[1:], *target.fields()]).get(name)
	return None if found is None else {"name": name, "docstatus": 0, **found}
