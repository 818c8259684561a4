"""Indexes of the app's tables that a DocType's JSON cannot say, and keys that Frappe loses on SQLite.

To change a column there, Frappe 16 makes the table again from its columns' names and types: without its primary key,
its other indexes, and what its columns are by default (frappe/database/sqlite/schema.py, alter). Names would no
longer be unique.
"""

from __future__ import annotations

from typing import NamedTuple

import frappe

from integration_hub.runtime.frappe.database import FrappeDatabase
from integration_hub.stores.doctype_tables import (
	FORMER_INDEXES,
	INDEXES,
	NUMERIC,
	doctypes,
	index,
	index_name,
	indexes,
)


class Index(NamedTuple):
	"""An index that a table has. sql: what makes it, None where it belongs to a key."""

	name: str
	fields: tuple[str, ...]
	unique: bool
	sql: str | None


def add_indexes(doctype: str) -> None:
	"""Make what is missing of a DocType's indexes; remove those of earlier versions. Commits."""
	if frappe.db.db_type == "sqlite":
		restore(doctype)
		return
	for fields in INDEXES.get(doctype, ()):
		frappe.db.add_index(doctype, list(fields), index_name(fields))
	for fields in FORMER_INDEXES.get(doctype, ()):
		name = index_name(fields)
		if frappe.db.has_index(f"tab{doctype}", name):  # of this table: another app's may be called so too
			where = f" ON `tab{doctype}`" if frappe.db.db_type == "mariadb" else ""
			frappe.db.sql_ddl(f"DROP INDEX `{name}`{where}")


def restore(doctype: str) -> None:
	"""Give one of the app's tables what it lacks of keys, defaults and indexes. For SQLite. Commits."""
	table = f"tab{doctype}"
	if not _has_primary_key(table):
		_remake(doctype)
	there = indexed(table)
	for fields, unique in (*indexes(doctypes()[doctype]), (("creation",), False)):
		if not any(found.fields == fields and (found.unique or not unique) for found in there):
			frappe.db.sql_ddl(index(table, fields, "UNIQUE " if unique else ""))
	for found in there:
		if found.sql and found.fields in FORMER_INDEXES.get(doctype, ()):
			frappe.db.sql_ddl(f"DROP INDEX `{found.name}`")


def keep_name_unique(doctype: str) -> None:
	"""See to it that each document's name is there once, in the table of any DocType. For SQLite.

	Within the current transaction.
	"""
	table = f"tab{doctype}"
	if _has_primary_key(table) or any(found.fields == ("name",) and found.unique for found in indexed(table)):
		return
	frappe.db._cursor.execute(index(table, ["name"], "UNIQUE "))


def indexed(table: str) -> list[Index]:
	"""Return the indexes of a table. For SQLite."""
	sql = dict(
		frappe.db.sql(
			"SELECT `name`, `sql` FROM `sqlite_master` WHERE `type` = 'index' AND `tbl_name` = %s", table
		)
	)
	found = []
	for row in frappe.db.sql(f"PRAGMA index_list(`{table}`)", as_dict=True):
		columns = frappe.db.sql(f"PRAGMA index_info(`{row.name}`)", as_dict=True)
		fields = tuple(column.name for column in columns)
		found.append(Index(row.name, fields, bool(row.unique), sql.get(row.name)))
	return found


def _has_primary_key(table: str) -> bool:
	return any(column.pk for column in _columns(table))


def _columns(table: str) -> list[frappe._dict]:
	return frappe.db.sql(f"PRAGMA table_info(`{table}`)", as_dict=True)


def _remake(doctype: str) -> None:
	"""Make a table again with its key and its defaults, in one transaction; columns and indexes that were added stay.

	Raises what SQLite does where it cannot, for a name that is there twice, say; nothing is changed then.
	"""
	table, new = f"`tab{doctype}`", f"`tab{doctype}_meant`"
	columns = {column.name: column for column in _columns(f"tab{doctype}")}
	definitions = ", ".join(_definition(doctype, column) for column in columns.values())
	values = ", ".join(_filled(doctype, column) for column in columns.values())
	kept = [found.sql for found in indexed(f"tab{doctype}") if found.sql]
	frappe.db.commit()
	try:
		for sql in (
			f"CREATE TABLE {new} ({definitions})",
			f"INSERT INTO {new} SELECT {values} FROM {table}",
			f"DROP TABLE {table}",
			f"ALTER TABLE {new} RENAME TO {table}",
			*kept,
		):
			frappe.db._cursor.execute(sql)
	except FrappeDatabase().errors:
		frappe.db.rollback()
		raise
	frappe.db.commit()


def _definition(doctype: str, column: frappe._dict) -> str:
	"""Return a column as it is to be. Its type is what Frappe calls it, which tells the driver what to make of it."""
	if column.name == "name":
		return f"`name` {column.type} PRIMARY KEY"
	default = _default(doctype, column)
	if default is None:
		return f"`{column.name}` {column.type}"
	needed = " NOT NULL" if column.notnull or not isinstance(default, str) else ""
	return f"`{column.name}` {column.type}{needed} DEFAULT {_quoted(default)}"


def _filled(doctype: str, column: frappe._dict) -> str:
	default = _default(doctype, column)
	filled = default is not None and not isinstance(default, str)
	return f"COALESCE(`{column.name}`, {default})" if filled else f"`{column.name}`"


def _default(doctype: str, column: frappe._dict) -> str | float | None:
	"""Return what a column is by default, None for nothing: numbers are never nothing."""
	if column.name in ("docstatus", "idx"):
		return 0
	field = next((f for f in doctypes()[doctype]["fields"] if f["fieldname"] == column.name), {})
	default = field.get("default")
	if field.get("fieldtype") in NUMERIC:
		return float(default or 0) if "." in str(default) else int(default or 0)
	return default


def _quoted(value: str | float) -> str:
	return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
