"""Triggers that note changes of the standalone runtime's tables in the outbox, whichever program makes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from integration_hub.outbound.collect import FROZEN
from integration_hub.runtime.standalone.hub_toml import HubFile
from integration_hub.runtime.standalone.open_hub import OpenHub
from integration_hub.stores.bindings import DOCTYPE as RECORDS
from integration_hub.stores.deliveries import DOCTYPE as DELIVERIES
from integration_hub.stores.outbox import DOCTYPE
from integration_hub.stores.runtime import HubError
from integration_hub.stores.sqlite import SQLiteDatabase

_STANDARD = ("name", "creation", "modified", "owner", "modified_by")
# Named as stores.ids.new_id names rows; within a millisecond, which SQLite's clock is exact to, by their number.
_NAME = (
	"printf('%014x', CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) * 1000)"
	f" || printf('%04x', (SELECT COALESCE(MAX(rowid), 0) + 1 FROM `tab{DOCTYPE}`) & 65535)"
	" || lower(hex(randomblob(3)))"
)
_QUIET = "hub_quiet"
_PREFIX = "hub_outbox_"
_MOST_COLUMNS = 45  # json_object takes a hundred arguments


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
	streams = [values for values in file.streams.values() if values.get("direction") == "Out"]
	for name, values in file.streams.items():
		if values in streams and values.get("send_as") == "Event":
			yield from _of_events(name, values["target_doctype"], file)
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


def _of_events(stream: str, table: str, file: HubFile) -> Iterator[str]:
	"""Return the triggers that freeze what a row holds at each change; what its child tables hold is not among it."""
	columns = [name for name, field in file.tables[table].items() if field["fieldtype"] != "Table"]
	if len(columns) > _MOST_COLUMNS:
		raise HubError(
			f"has more than {_MOST_COLUMNS} fields, which no event holds here",
			name=f"{file.name} [stream.{stream}]",
			field="target_doctype",
		)
	for event, row, operation in (
		("INSERT", "NEW", "created"),
		("UPDATE", "NEW", "updated"),
		("DELETE", "OLD", "deleted"),
	):
		pairs = ", ".join(f"{_text(name)}, {row}.`{name}`" for name in (*_STANDARD[:3], *columns))
		note = _note(table, f"{row}.`name`", operation, _text(FROZEN), _text(stream), f"json_object({pairs})")
		yield _trigger(table, event, f"event {stream}", [note])


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


def _note(
	table: str, document: str, operation: str, note: str = "''", stream: str = "''", payload: str = "NULL"
) -> str:
	now = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
	values = [_NAME, now, now, _text(table), document, _text(operation), stream, note, payload]
	columns = (
		*("name", "creation", "modified", "reference_doctype", "document", "operation"),
		*("stream", "note", "payload"),
	)
	listed = ", ".join(f"`{column}`" for column in columns)
	return f"INSERT INTO `tab{DOCTYPE}` ({listed}) VALUES ({', '.join(values)})"


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
