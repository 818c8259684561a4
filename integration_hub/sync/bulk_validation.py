"""The checks of a Document, for rows that are written in bulk: a page at a time.

The values' types are right already (see sync.field_values).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from integration_hub.stores.doctype_tables import NUMERIC
from integration_hub.stores.fields import Field, Fields
from integration_hub.stores.runtime import Change
from integration_hub.sync.field_values import InvalidValue

Existing = Callable[[str, Sequence[str]], set[str]]
Check = Callable[[Any], str | None]


def invalid(changes: Sequence[Change], fields: Fields, existing: Existing) -> dict[int, InvalidValue]:
	"""Return what is wrong, by the position of the change.

	existing: returns those of the given names that a DocType has; asked once a DocType and page.
	"""
	found: dict[int, InvalidValue] = {}
	rows = [(number, change.values) for number, change in enumerate(changes)]
	_check_rows(rows, fields, "", found)
	for table, field in fields.items():
		if field.fields:
			children = [(n, child) for n, values in rows for child in values.get(table) or ()]
			_check_rows(children, field.fields, f"{table}.", found)
	# A table's fields are checked with those of all its rows, so each linked DocType is asked once.
	for doctype, held in _links(rows, fields).items():
		there = existing(doctype, sorted({str(value) for _, _, value in held}))
		for number, field, value in held:
			if str(value) not in there:
				found.setdefault(number, InvalidValue(f"{field}: there is no {doctype} {value!r}"))
	return found


def _check_rows(
	rows: Sequence[tuple[int, Mapping[str, Any]]],
	fields: Fields,
	prefix: str,
	found: dict[int, InvalidValue],
) -> None:
	for name, field in fields.items():
		if field.fields:
			continue
		column = [values[name] for _, values in rows if name in values]
		if not column or _surely_fits(column, field):
			continue
		problem = _checker(field)
		for number, values in rows:
			if name in values and (sentence := problem(values[name])):
				found.setdefault(number, InvalidValue(f"{prefix}{name}: {sentence}"))


def _surely_fits(column: Sequence[Any], field: Field) -> bool:
	"""Tell, at the speed of built-ins, whether a column needs no look at each value."""
	if field.required or field.choices:
		return False
	if not field.max_length or field.kind in NUMERIC:
		return True
	kinds = set(map(type, column))
	return kinds == {str} and max(map(len, column)) <= field.max_length


def _links(
	rows: Sequence[tuple[int, Mapping[str, Any]]], fields: Fields
) -> dict[str, list[tuple[int, str, str]]]:
	"""Return where links stand, by the DocType they lead to: (position of the change, field, name)."""
	held: dict[str, list[tuple[int, str, str]]] = {}
	for name, field in fields.items():
		if field.kind == "Link" and field.options:
			places = [(n, name, values[name]) for n, values in rows if values.get(name)]
			held.setdefault(field.options, []).extend(places)
		for child, inner in field.fields.items():
			if inner.kind == "Link" and inner.options:
				places = [
					(n, f"{name}.{child}", row[child])
					for n, values in rows
					for row in values.get(name) or ()
					if row.get(child)
				]
				held.setdefault(inner.options, []).extend(places)
	return {doctype: places for doctype, places in held.items() if places}


def _checker(field: Field) -> Check:
	"""Return what says why a value does not fit a field, None if it does."""
	checks = list(_checks(field))

	def check(value: Any) -> str | None:
		if value is None or value == "":
			return "is required" if field.required else None
		for one in checks:
			if sentence := one(value):
				return sentence
		return None

	return check


def _checks(field: Field) -> Iterator[Check]:
	if choices := field.choices:
		yield (
			lambda value: None
			if isinstance(value, str) and value in choices
			else f"{value!r} is not one of {', '.join(sorted(choices))}"
		)
	if most := field.max_length:
		yield lambda value: (
			f"is {len(value)} characters long, at most {most} fit"
			if isinstance(value, str) and len(value) > most
			else None
		)
