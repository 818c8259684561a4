"""Indexes of the app's tables that a DocType's JSON cannot say, and keys that Frappe loses on SQLite.

To change a column there, Frappe 16 makes the table anew from its columns' names and types: without its primary key,
its unique and its other indexes, and without what its columns are by default (frappe/database/sqlite/schema.py, alter).
What is to be there once would be so no more.
"""

from __future__ import annotations

from collections.abc import Iterator

import frappe

from integration_hub.stores.schema import FORMER_INDEXES, INDEXES, columns, doctypes, index, index_name


def add_indexes(doctype: str) -> None:
	"""Make what is missing of a DocType's indexes; remove those of earlier versions. Commits."""
	if frappe.db.db_type == "sqlite":
		restore(doctype)
	else:
		for fields in INDEXES.get(doctype, ()):
			frappe.db.add_index(doctype, list(fields), index_name(fields))
	for fields in FORMER_INDEXES.get(doctype, ()):
		_drop_index(doctype, index_name(fields))


def after_migrate() -> None:
	"""Bring back, on SQLite, what a change of a column has taken, by a migration or by Customize Form."""
	if frappe.db.db_type == "sqlite":
		for doctype in doctypes():
			restore(doctype)


def restore(doctype: str) -> None:
	"""Give one of the app's tables what it lacks of its keys, defaults and indexes. For SQLite. Commits."""
	if not frappe.db.table_exists(doctype):
		return  # a Single
	if not has_primary_key(doctype):
		_remake(doctype)
	there = set(indexed(f"tab{doctype}"))
	for fields, unique in _wanted(doctype):
		if not any(found == fields and (is_unique or not unique) for found, is_unique in there):
			frappe.db.sql_ddl(index(f"tab{doctype}", fields, "UNIQUE " if unique else ""))


def keep_name_unique(doctype: str) -> None:
	"""See to it that each document's name is there once, in the table of any DocType. For SQLite."""
	table = f"tab{doctype}"
	if not has_primary_key(doctype) and (("name",), True) not in indexed(table):
		frappe.db._cursor.execute(index(table, ["name"], "UNIQUE "))  # within the transaction that needs it


def has_primary_key(doctype: str) -> bool:
	return any(column.pk for column in _columns(doctype))


def _remake(doctype: str) -> None:
	"""Make a table anew as it was meant; columns that somebody has added stay. Raises what SQLite does, for a name that
	is there twice, say, and changes nothing then."""
	meant, new = columns(doctypes()[doctype]), f"`tab{doctype}_meant`"
	definitions = {}
	for column in _columns(
		doctype
	):  # a type is what Frappe calls it, which tells its driver what to make of it
		rest = meant.get(column.name, "").partition(" ")[2]
		definitions[column.name] = f"{column.type} {rest}".strip()
	values = [
		f"COALESCE(`{name}`, 0)" if "NOT NULL" in kind else f"`{name}`" for name, kind in definitions.items()
	]
	frappe.db.commit()
	try:
		for sql in (
			f"CREATE TABLE {new} ({', '.join(f'`{name}` {kind}' for name, kind in definitions.items())})",
			f"INSERT INTO {new} SELECT {', '.join(values)} FROM `tab{doctype}`",
			f"DROP TABLE `tab{doctype}`",
			f"ALTER TABLE {new} RENAME TO `tab{doctype}`",
		):
			frappe.db._cursor.execute(sql)
	except Exception:
		frappe.db.rollback()
		raise
	frappe.db.commit()


def _columns(doctype: str) -> list[frappe._dict]:
	return frappe.db.sql(f"PRAGMA table_info(`tab{doctype}`)", as_dict=True)


def _wanted(doctype: str) -> Iterator[tuple[tuple[str, ...], bool]]:
	"""Return the columns of each index that there has to be, and whether it is unique."""
	for field in doctypes()[doctype]["fields"]:
		if field.get("unique") or field.get("search_index"):
			yield (field["fieldname"],), bool(field.get("unique"))
	for fields in INDEXES.get(doctype, ()):
		yield tuple(fields), False
	if doctypes()[doctype].get("istable"):
		yield ("parent",), False


def indexed(table: str) -> Iterator[tuple[tuple[str, ...], bool]]:
	"""Return the columns of each index of a table, and whether it is unique. For SQLite."""
	for row in frappe.db.sql(f"PRAGMA index_list(`{table}`)", as_dict=True):
		columns = frappe.db.sql(f"PRAGMA index_info(`{row.name}`)", as_dict=True)
		yield tuple(column.name for column in columns), bool(row.unique)


def _drop_index(doctype: str, name: str) -> None:
	table = f"tab{doctype}"
	if frappe.db.db_type == "mariadb":
		frappe.db.sql_ddl(f"DROP INDEX IF EXISTS `{name}` ON `{table}`")
	else:
		frappe.db.sql_ddl(f'DROP INDEX IF EXISTS "{name}"')
