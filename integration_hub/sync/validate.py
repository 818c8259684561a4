"""What a Document checks by itself, for rows that are written in bulk: a page at a time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from integration_hub.stores.fields import Field, Fields
from integration_hub.stores.home import Change
from integration_hub.stores.schema import INTEGER, NUMERIC

Existing = Callable[[str, Sequence[str]], set[str]]
Check = Callable[[Any], str | None]

_DATETIME = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_LARGEST_INT = 2**31 - 1


class InvalidValue(ValueError):
	"""A value that its field cannot hold; the text names the field."""


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
	if field.required or field.choices or field.kind in ("Date", "Datetime"):
		return False
	kinds = set(map(type, column))
	if field.kind in NUMERIC:
		if field.kind not in INTEGER:
			return kinds <= {int, float} and all(map(math.isfinite, column))
		small = _is_small(field)
		return kinds == {int} and (not small or max(map(abs, column)) <= _LARGEST_INT)
	if not field.max_length:
		return True
	return kinds == {str} and max(map(len, column)) <= field.max_length


def _is_small(field: Field) -> bool:
	return field.kind in ("Int", "Check") and field.length < 12


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
	if field.kind in NUMERIC:
		yield _number(_LARGEST_INT if _is_small(field) else 0, field.kind in INTEGER)
	elif field.kind == "Date":
		yield _is_date
	elif field.kind == "Datetime":
		yield _is_datetime
	elif most := field.max_length:
		yield lambda value: (
			f"is {len(value)} characters long, at most {most} fit"
			if isinstance(value, str) and len(value) > most
			else None
		)


def _number(largest: int, whole: bool) -> Check:
	def check(value: Any) -> str | None:
		if not isinstance(value, int | float) and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
			return f"{value!r} is not a number"
		number = float(value)
		if not math.isfinite(number):
			return f"{value!r} is not a number"
		if whole and not number.is_integer():
			return f"{value!r} is not a whole number"
		return f"{value!r} is out of range" if largest and abs(number) > largest else None

	return check


def _is_date(value: Any) -> str | None:
	try:
		date.fromisoformat(str(value))
	except ValueError:
		return f"{value!r} is not a date; the conversion Date makes one"
	return None


def _is_datetime(value: Any) -> str | None:
	try:
		if _DATETIME.fullmatch(str(value)):
			datetime.fromisoformat(str(value).partition(".")[0])
			return None
	except ValueError:
		pass
	return f"{value!r} is not a time of the database; the conversion Datetime makes one"
