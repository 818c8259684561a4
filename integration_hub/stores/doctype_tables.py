"""The doctype JSON files as the single description of the engine's tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

DOCTYPE_FOLDER = Path(__file__).parent.parent / "integration_hub" / "doctype"

STANDARD_COLUMNS = {
	"name": "TEXT PRIMARY KEY",
	"creation": "DATETIME",
	"modified": "DATETIME",
	"modified_by": "TEXT",
	"owner": "TEXT",
	"docstatus": "INTEGER NOT NULL DEFAULT 0",
	"idx": "INTEGER NOT NULL DEFAULT 0",
}
CHILD_COLUMNS = {"parent": "TEXT", "parentfield": "TEXT", "parenttype": "TEXT"}
# What every document has, and no mapping may fill: Frappe, or the hub, sets it.
KEPT_COLUMNS = STANDARD_COLUMNS.keys() | CHILD_COLUMNS.keys()

TABLES = frozenset({"Table", "Table MultiSelect"})  # rows of another table
# Layout only, or rows of another table: no column.
NO_COLUMN = TABLES | {"Section Break", "Column Break", "Tab Break", "HTML", "Button", "Heading", "Fold"}
INTEGER = frozenset({"Int", "Long Int", "Check"})
_REAL = frozenset({"Float", "Currency", "Percent", "Rating", "Duration"})

NUMERIC = INTEGER | _REAL
_TEXT = frozenset(
	{
		"Data",
		"Small Text",
		"Text",
		"Long Text",
		"Code",
		"JSON",
		"Select",
		"Link",
		"Dynamic Link",
		"Date",
		"Datetime",
		"Time",
	}
)
FIELDTYPES = NUMERIC | _TEXT  # those that columns of the standalone runtime's tables may have


@cache
def doctypes() -> dict[str, dict[str, Any]]:
	"""Return the app's doctypes by name, as their JSON files have them."""
	found = (json.loads(path.read_text()) for path in sorted(DOCTYPE_FOLDER.glob("*/*.json")))
	return {doctype["name"]: doctype for doctype in found if doctype.get("doctype") == "DocType"}


def columns(doctype: Mapping[str, Any]) -> dict[str, str]:
	"""Return the columns of a doctype and their SQLite types."""
	result = dict(STANDARD_COLUMNS)
	if doctype.get("istable"):
		result |= CHILD_COLUMNS
	for field in doctype["fields"]:
		if field["fieldtype"] not in NO_COLUMN:
			result[field["fieldname"]] = sqlite_type(field["fieldtype"])
	return result


def sqlite_type(fieldtype: str) -> str:
	"""Return the SQLite column type of a Frappe fieldtype."""
	if fieldtype in INTEGER:
		return "INTEGER NOT NULL DEFAULT 0"
	return "REAL NOT NULL DEFAULT 0" if fieldtype in _REAL else "TEXT"


def create_statements(doctype: Mapping[str, Any]) -> Iterator[str]:
	"""Return the DDL that makes a doctype's table and its indexes on SQLite, if they are missing."""
	table = f"tab{doctype['name']}"
	body = ", ".join(f"`{name}` {kind}" for name, kind in columns(doctype).items())
	yield f"CREATE TABLE IF NOT EXISTS `{table}` ({body})"
	for fields in FORMER_INDEXES.get(doctype["name"], ()):
		yield f"DROP INDEX IF EXISTS `{table}_{'_'.join(fields)}`"
	for fields, unique in indexes(doctype):
		yield index(table, fields, "UNIQUE " if unique else "")


def indexes(doctype: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], bool]]:
	"""Return the columns of each index that a doctype's table has, and whether it is unique."""
	for field in doctype["fields"]:
		if field.get("unique") or field.get("search_index"):
			yield (field["fieldname"],), bool(field.get("unique"))
	if doctype.get("istable"):
		yield ("parent",), False
	for fields in INDEXES.get(doctype["name"], ()):
		yield tuple(fields), False


def index_name(fields: Iterable[str]) -> str:
	"""Return what an index over several columns is called on a site: as Frappe would call it, if that is not too long."""
	name = "_".join(fields)
	return f"{name}_index" if len(name) + len("_index") <= _LONGEST_NAME else name[:_LONGEST_NAME]


def along(db: Any, doctype: str, fields: tuple[str, ...]) -> str:
	"""Return the hint that has a database go along one of INDEXES: by its statistics it may take one that ends in a scan.

	"" on Postgres, which knows no hints, and where somebody has dropped the index.
	"""
	table = f"tab{doctype}"
	name = index_name(fields) if db.dialect == "mariadb" else _sqlite_name(table, fields)
	if db.dialect not in _THERE:
		return ""
	sql, hint = _THERE[db.dialect]
	if (table, name) not in _seen and db.query(sql, [table, name]):
		_seen.add((table, name))
	return hint.format(name) if (table, name) in _seen else ""


_THERE = {
	"mariadb": (
		"""SELECT 1 FROM information_schema.statistics
			WHERE table_schema = DATABASE() AND table_name = %s AND index_name = %s LIMIT 1""",
		"FORCE INDEX (`{}`)",
	),
	"sqlite": (
		"SELECT 1 FROM `sqlite_master` WHERE `type` = 'index' AND `tbl_name` = %s AND `name` = %s",
		"INDEXED BY `{}`",
	),
}
_seen: set[tuple[str, str]] = set()  # indexes that are there, with their tables
_LONGEST_NAME = 63  # Postgres; MariaDB takes one more


def index(table: str, fields: Iterable[str], unique: str = "") -> str:
	"""Return the statement that makes an index where there is none; `unique` is "UNIQUE " or empty."""
	fields = list(fields)
	names = ", ".join(f"`{field}`" for field in fields)
	return f"CREATE {unique}INDEX IF NOT EXISTS `{_sqlite_name(table, fields)}` ON `{table}` ({names})"


def _sqlite_name(table: str, fields: Iterable[str]) -> str:
	return f"{table}_{'_'.join(fields)}"


# Indexes over several columns, which doctype JSON cannot say. The doctypes' `on_doctype_update` reads them
# from here, so that both runtimes have the same.
INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
	# The last two are for screens, which ask for what few rows are; a stream's rows lie together by their names.
	"External Record": (("target_name",), ("status", "stream", "error_log"), ("missing_run",)),
	"Webhook Log": (
		# See stores.ordering: whose turn it is; whose time has come; the first ones of an ordering key.
		("integration", "status", "turn", "name", "ordering_key", "next_attempt_at", "deferrals"),
		("integration", "status", "turn", "next_attempt_at", "name"),
		("integration", "status", "ordering_key", "turn", "deferrals", "name"),
		("status", "claimed_at"),
	),
	"Sync Log": (("stream", "status"),),
	"Delivery Log": (
		("integration", "status", "turn", "name", "ordering_key", "next_attempt_at", "deferrals"),
		("integration", "status", "turn", "next_attempt_at", "name"),
		("integration", "status", "ordering_key", "turn", "deferrals", "name"),
		("status", "claimed_at"),
		("document", "stream"),
	),
}
# What there was before, to be removed.
FORMER_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
	"External Record": (("status", "stream"),),
	"Webhook Log": (
		("integration", "status", "next_attempt_at"),
		("integration", "status", "name"),
		("integration", "ordering_key", "status", "name"),
		("integration", "status", "next_attempt_at", "ordering_key"),
		("integration", "status", "name", "ordering_key", "next_attempt_at", "deferrals"),
		("integration", "status", "ordering_key", "name"),
	),
}
