"""Values as they compare and are shown, whatever types a database and a source give them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from integration_hub.connectors.redact import MASK
from integration_hub.stores.doctype_tables import INTEGER, NUMERIC
from integration_hub.stores.fields import Field, Fields

Pair = tuple[Any, Any]  # what a field holds now, and then

_DECIMALS = {"Rating": 2}  # decimals of the columns; 9 of all others


def differences(now: Mapping[str, Any], then: Mapping[str, Any], fields: Fields) -> dict[str, Pair]:
	"""Return the fields of `then` that are other in `now`, each with both values.

	Of a child table, the rows that are other on each side are given, with the fields that `then` has for them.
	"""
	found = {}
	for name, value in then.items():
		field = fields.get(name) or Field("Data")
		pair = (
			_rows(now.get(name), value, field.fields)
			if field.fields
			else (canonical(field.kind, now.get(name)), canonical(field.kind, value))
		)
		if pair[0] != pair[1]:
			found[name] = pair
	return found


def canonical(kind: str, value: Any) -> Any:
	"""Return a value of a fieldtype in the one form that equal values have; nothing at all is None, and 0 in a number."""
	try:
		if kind in INTEGER:
			return int(value or 0)
		if kind in NUMERIC:
			return round(float(value or 0), _DECIMALS.get(kind, 9))
		if value is None or value == "":
			return None
		return _FORMS.get(kind, _text)(value)
	except (ValueError, TypeError, OverflowError, RecursionError):
		return _text(value)


def _rows(now: Any, then: Any, fields: Fields) -> Pair:
	"""Return the rows of a table that are on one side only; all of them if only their order is another."""
	then = list(then or ())
	names = list(dict.fromkeys(name for row in then for name in row if name in fields))
	before = [_row(row, names or list(fields), fields) for row in now or ()]
	after = [_row(row, names, fields) for row in then]
	gone, come = _without(before, after), _without(after, before)
	if not gone and not come and before != after:
		return before, after
	return gone, come


def _row(row: Mapping[str, Any], names: Sequence[str], fields: Fields) -> dict[str, Any]:
	return {name: canonical(fields[name].kind, row.get(name)) for name in names}


def _without(rows: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
	"""Return rows but for one of each that `others` has."""
	left: dict[str, int] = {}
	for row in others:
		left[repr(row)] = left.get(repr(row), 0) + 1
	kept = []
	for row in rows:
		left[repr(row)] = left.get(repr(row), 0) - 1
		if left[repr(row)] < 0:
			kept.append(row)
	return kept


def _text(value: Any) -> str:
	return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _date(value: Any) -> str:
	return (
		value.isoformat()[:10] if isinstance(value, date) else date.fromisoformat(str(value)[:10]).isoformat()
	)


def _datetime(value: Any) -> str:
	if not isinstance(value, datetime):
		whole, _, rest = str(value).partition(".")
		value = datetime.fromisoformat(f"{whole}.{rest:0<6}" if rest else whole)
	return value.isoformat(" ")  # its microseconds only where it has some


def time_text(value: Any) -> str:
	"""Return a time of day, which MariaDB's driver gives as a timedelta, as HH:MM:SS, with microseconds if it has some."""
	if not isinstance(value, timedelta):
		hours, minutes, *seconds = (value.isoformat() if isinstance(value, time) else str(value)).split(":")
		value = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds[0]) if seconds else 0)
	minutes, seconds = divmod(value.seconds, 60)
	part = f".{value.microseconds:06}" if value.microseconds else ""
	return f"{value.days * 24 + minutes // 60:02}:{minutes % 60:02}:{seconds:02}{part}"


def _json(value: Any) -> str:
	found = json.loads(value) if isinstance(value, str) else value
	return json.dumps(found, ensure_ascii=False, sort_keys=True)


def _password(value: Any) -> str:
	return MASK


_FORMS = {
	"Date": _date,
	"Datetime": _datetime,
	"Time": time_text,
	"JSON": _json,
	"Select": lambda value: str(value).strip() or None,
	"Password": _password,
}
