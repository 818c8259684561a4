"""Mapped values as their fields store them, or the reason why they cannot be.

Frappe's own conversions guess: `"12,50"` becomes 1250.0, `"N/A"` becomes 0, `"0031-05-12"` the year 2031. So each value
is brought into its field's type here, before a Document or a row is made of it: it arrives as it is, or its record fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

from integration_hub.connectors.numbers import integer, number, shown
from integration_hub.stores.doctype_tables import INTEGER, NUMERIC
from integration_hub.stores.fields import Field, Fields
from integration_hub.sync.compare import time_text
from integration_hub.sync.conversions import text
from integration_hub.sync.times import check_year, is_no_time, parse_date

Fit = Callable[[Any], Any]
Row = dict[str, Any]

LARGEST_INT = 2**31 - 1
_LARGEST = 2**63 - 1
_NOTHING = type(None)
_DATETIME = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)
_TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?", re.ASCII)


class InvalidValue(ValueError):
	"""A value that its field cannot hold; the text names the field."""


def fit(rows: Sequence[Row], fields: Fields) -> dict[int, InvalidValue]:
	"""Give the values of mapped records, in place, the types their fields store.

	Returns what cannot be, by the position of its row. A value that is empty or has its type stays as it is.
	"""
	wrong: dict[int, InvalidValue] = {}
	numbered = list(enumerate(rows))
	_fit_rows(numbered, fields, "", wrong)
	for table, field in fields.items():
		if field.fields:
			children = [(place, child) for place, values in numbered for child in values.get(table) or ()]
			_fit_rows(children, field.fields, f"{table}.", wrong)
	return wrong


def _fit_rows(
	rows: Sequence[tuple[int, Row]], fields: Fields, prefix: str, wrong: dict[int, InvalidValue]
) -> None:
	for name, field in fields.items():
		if field.fields:
			continue
		# At the speed of built-ins, most columns need no look at each value.
		if {values[name].__class__ for _, values in rows if name in values} <= _plain_kinds(field):
			continue
		convert = fitter(field)
		for place, values in rows:
			if name in values:
				try:
					values[name] = convert(values[name])
				except (ValueError, OverflowError, TypeError, RecursionError) as error:
					wrong.setdefault(place, InvalidValue(f"{prefix}{name}: {error}"))


def _plain_kinds(field: Field) -> frozenset[type]:
	"""Return the types of which every value fits a field as it is."""
	if field.kind in NUMERIC or field.kind in ("Date", "Datetime", "Time"):
		return frozenset({_NOTHING})
	return frozenset({str, _NOTHING})


def fitter(field: Field) -> Fit:
	"""Return the function that gives a value its field's type, and raises ValueError saying what does not fit."""
	if field.kind == "Check":
		return _or_empty(_check)
	if field.kind in INTEGER:
		return _or_empty(partial(_whole, LARGEST_INT if is_small(field) else _LARGEST))
	if field.kind in NUMERIC:
		return _or_empty(_real)
	return _or_empty({"Date": _date, "Datetime": _datetime, "Time": _time}.get(field.kind, _text))


def is_small(field: Field) -> bool:
	"""Tell whether a whole number's column has 32 bits."""
	return field.kind in ("Int", "Check") and field.length < 12


def _or_empty(convert: Fit) -> Fit:
	return lambda value: value if value is None or value == "" else convert(value)


def _check(value: Any) -> int:
	if isinstance(value, bool):
		return int(value)
	if (found := integer(value)) not in (0, 1):
		raise ValueError(f"{shown(value)} is neither 0 nor 1; the conversion Check makes one of yes and no")
	return found


def _whole(largest: int, value: Any) -> int:
	found = int(value) if isinstance(value, bool) else integer(value)
	if abs(found) > largest:
		raise ValueError(f"{shown(value)} is out of range: at most {largest}")
	return found


def _real(value: Any) -> int | float:
	if value.__class__ is int:
		found = number(value)
		return value if -(2**63) <= value < 2**63 else found  # a driver takes no larger integers
	return int(value) if isinstance(value, bool) else number(value)


def _date(value: Any) -> str | None:
	if isinstance(value, date):
		check_year(value)
		return value.isoformat()[:10]
	if is_no_time(value):
		return None
	try:
		if not isinstance(value, str):
			raise ValueError
		return parse_date(value)
	except ValueError as error:
		if "year" in str(error):
			raise
		raise ValueError(f"{shown(value)} is not a date; the conversion Date makes one") from None


def _datetime(value: Any) -> str | None:
	if isinstance(value, datetime) and not value.tzinfo:
		check_year(value)
		return value.isoformat(" ", "microseconds")
	if is_no_time(value):
		return None
	if isinstance(value, str) and _DATETIME.fullmatch(value):
		written = value.replace("T", " ")
		try:
			moment = datetime.fromisoformat(written.partition(".")[0])
		except ValueError:
			pass
		else:
			check_year(moment)
			return written
	raise ValueError(f"{shown(value)} is not a time of the database; the conversion Datetime makes one")


def _time(value: Any) -> str:
	# With two digits each, seconds and all: SQLite keeps what it is given, and Frappe then cannot read «9:30».
	if isinstance(value, time | timedelta):
		return time_text(value)
	if isinstance(value, str) and _TIME.fullmatch(value.strip()):
		return time_text(value.strip())
	raise ValueError(f"{shown(value)} is not a time of day, as 13:45:00")


def _text(value: Any) -> str:
	if isinstance(value, str | bool | int | float | list | dict):
		return text(value)
	return str(value)  # a date or a Decimal that a registered function has returned
