"""Setting a mapped record on a Document: only what differs is set, and a row that is the same stays.

A submitted document takes a change of a field that may change after submission, and of no other: rows that are made
again would each be one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import frappe
from frappe.model.document import Document
from frappe.utils import cint, cstr, flt, get_datetime, getdate, to_timedelta

from integration_hub.runtime.frappe.sanitize import sanitize
from integration_hub.stores.doctype_tables import INTEGER, NUMERIC

_DECIMALS = 9  # decimals of a Float's column
_MOST_COMPARED = 10_000  # pairs of rows
LINKS = ("Link", "Dynamic Link")

Pair = tuple[int, int]  # a new row, and the one that is there


def change(doc: Document, values: Mapping[str, Any]) -> list[str]:
	"""Give a document that is there a record's values; return what that changes: fields, and `table.field` of rows.

	A table in which rows come, go or change places is named by itself.
	"""
	changed: list[str] = []
	tables = {df.fieldname for df in doc.meta.get_table_fields()}
	for name, value in values.items():
		if name in tables:
			changed += _change_rows(doc, name, value or [])
		elif not is_same(doc, name, value):
			doc.set(name, value)
			changed.append(name)
	return list(dict.fromkeys(changed))


def is_same(doc: Document, field: str, value: Any) -> bool:
	"""Tell whether a document or row holds a value already, as its field stores it."""
	df, now = doc.meta.get_field(field), doc.get(field)
	if df is None or df.fieldtype == "Password":  # it is stored elsewhere
		return False
	return _stored(df, now) == _stored(df, _cleaned(doc.doctype, field, value))


def overruled(doc: Document, values: Mapping[str, Any]) -> list[str]:
	"""Return the fields in which a document that was saved holds something else than it was given.

	Its controller, or *Fetch From*, has put it there. That a link is spelled as the document it leads to is no other
	value, and a password is nowhere to be seen.
	"""
	found = []
	for name, value in values.items():
		df = doc.meta.get_field(name)
		if df is None or df.fieldtype == "Password" or isinstance(value, list) or is_same(doc, name, value):
			continue
		if df.fieldtype not in LINKS or cstr(doc.get(name)).casefold() != cstr(value).casefold():
			found.append(name)
	return found


def _cleaned(doctype: str, field: str, value: Any) -> Any:
	return sanitize(doctype, {field: value})[field]


def _stored(df: Any, value: Any) -> Any:
	"""Return a value as it compares, whether it comes from the database or from a record."""
	kind = df.fieldtype
	try:
		if kind in INTEGER:
			return cint(value)
		if kind in NUMERIC:
			return round(flt(value), _DECIMALS)
		if value is None or value == "":
			return None
		if kind in _PARSED:
			return _PARSED[kind](value)
	except (ValueError, TypeError, OverflowError):
		return value
	if isinstance(value, dict | list):
		return frappe.as_json(value)
	return cstr(value).strip() if kind == "Select" else cstr(value)


def _time(value: Any) -> timedelta:
	return value if isinstance(value, timedelta) else to_timedelta(str(value))


_PARSED: Mapping[str, Callable[[Any], Any]] = {"Date": getdate, "Datetime": get_datetime, "Time": _time}


def _change_rows(doc: Document, table: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
	"""Give a child table a record's rows; return what that changes."""
	there = list(doc.get(table) or [])
	child = doc.meta.get_field(table).options
	found = _matched(child, rows, there, strict=not doc.docstatus.is_submitted())
	changed, listed = [], []
	for place, row in enumerate(rows):
		old = found.get(place)
		if old is None:
			listed.append({**row})  # Frappe writes into what it is given
			continue
		listed.append(there[old])
		for field in (name for name, value in row.items() if not is_same(there[old], name, value)):
			there[old].set(field, row[field])
			changed.append(f"{table}.{field}")
	if [found.get(place) for place in range(len(rows))] != list(range(len(there))):
		changed.insert(0, table)
		doc.set(table, listed)
		for number, row in enumerate(doc.get(table), 1):
			row.idx = number
	return changed


def _matched(
	child: str, rows: Sequence[Mapping[str, Any]], there: Sequence[Document], *, strict: bool
) -> dict[int, int]:
	"""Return which row that is there each new one is, by position; those that are new are left out.

	First rows that are equal. Then the most alike, whose links are equal: an item that became another one is another
	row, with what its controller fetches for it. Unless strict, the others by their position.
	"""
	if not rows or not there:
		return {}
	fields = [df for name in rows[0] if (df := frappe.get_meta(child).get_field(name))]
	new = [_as_stored(child, fields, row) for row in rows]
	old = [tuple(_stored(df, row.get(df.fieldname)) for df in fields) for row in there]
	found: dict[int, int] = {}
	_pair(found, [(n, n) for n in range(min(len(new), len(old))) if new[n] == old[n]])
	_pair(found, _equal(new, old, found))
	_pair(found, _alike(fields, new, old, found, strict))
	if not strict:
		_pair(found, zip(*_free(new, old, found), strict=False))
	return found


def _as_stored(child: str, fields: Sequence[Any], row: Mapping[str, Any]) -> tuple[Any, ...]:
	cleaned = sanitize(child, row)
	return tuple(_stored(df, cleaned.get(df.fieldname)) for df in fields)


def _pair(found: dict[int, int], pairs: Any) -> None:
	"""Take pairs, in order, of which neither is taken."""
	taken = set(found.values())
	for new, old in pairs:
		if new not in found and old not in taken:
			found[new] = old
			taken.add(old)


def _free(new: Sequence[Any], old: Sequence[Any], found: Mapping[int, int]) -> tuple[list[int], list[int]]:
	taken = set(found.values())
	return [n for n in range(len(new)) if n not in found], [o for o in range(len(old)) if o not in taken]


def _equal(new: Sequence[Any], old: Sequence[Any], found: Mapping[int, int]) -> list[Pair]:
	news, olds = _free(new, old, found)
	places: dict[Any, list[int]] = {}
	for place in reversed(olds):
		places.setdefault(old[place], []).append(place)
	return [(n, places[new[n]].pop()) for n in news if places.get(new[n])]


def _alike(
	fields: Sequence[Any], new: Sequence[Any], old: Sequence[Any], found: Mapping[int, int], strict: bool
) -> list[Pair]:
	"""Return pairs of rows, the most alike first: in what is text, in all, in where they stand."""
	links = [place for place, df in enumerate(fields) if df.fieldtype in LINKS]
	text = [place for place, df in enumerate(fields) if df.fieldtype not in NUMERIC]
	news, olds = _free(new, old, found)
	if len(news) * len(olds) > _MOST_COMPARED:
		pairs = list(zip(news, olds, strict=False))
	else:
		pairs = [(n, o) for n in news for o in olds]
	if strict:
		pairs = [(n, o) for n, o in pairs if all(new[n][place] == old[o][place] for place in links)]

	def distance(pair: Pair) -> tuple[int, int, int]:
		n, o = pair
		same = [place for place in range(len(fields)) if new[n][place] == old[o][place]]
		return -len(set(same) & set(text)), -len(same), abs(n - o)

	return sorted(pairs, key=distance)
