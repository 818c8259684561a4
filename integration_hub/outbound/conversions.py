"""Conversions of the mapping backwards: from a document's value to the one that the system takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from integration_hub.connectors.app_code import attempt, contained, error_text
from integration_hub.connectors.numbers import integer, number
from integration_hub.connectors.registry import resolve
from integration_hub.lazy_messages import _
from integration_hub.stores.fields import Field
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.config import FieldMapping
from integration_hub.sync.conversions import boolean
from integration_hub.sync.times import time_format

Outward = Callable[[Any], Any]
_SECONDS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def outward(row: FieldMapping, field: Field, runtime: Runtime) -> Outward:
	"""Return the conversion of a row backwards. Raises ValueError where it does not take the argument."""
	if row.conversion not in _FACTORIES:
		raise ValueError(
			_("conversion {0!r} is not one of {1}", row.conversion, ", ".join(filter(None, _FACTORIES)))
		)
	return _FACTORIES[row.conversion](row, field, runtime)


def _plain(row: FieldMapping, field: Field, runtime: Runtime) -> Outward:
	if field.kind == "Datetime":
		return _datetime(FieldMapping(), field, runtime)
	return plain


def plain(value: Any) -> Any:
	"""Return a value of a document as JSON has it. Raises ValueError for a number that JSON has no word for."""
	if isinstance(value, Decimal):
		value = float(value)
	if isinstance(value, float):
		if not math.isfinite(value):
			raise ValueError(_("{0!r} is not a finite number", value))
		return int(value) if value.is_integer() and abs(value) < 2**53 else value
	if isinstance(value, timedelta):
		return str(value)
	if isinstance(value, date | time):
		return value.isoformat()
	return value


def _date(row: FieldMapping, field: Field, runtime: Runtime) -> Outward:
	format, _there = time_format(row.argument)
	pattern = "%Y%m%d" if format == "20260131" else format if "%" in format else "%Y-%m-%d"
	return lambda value: _moment(value).strftime(pattern)


def _datetime(row: FieldMapping, field: Field, runtime: Runtime) -> Outward:
	"""Make a conversion of the site's local time to ISO 8601 in UTC, or to the argument's format and zone."""
	format, there = time_format(row.argument)
	here, to = ZoneInfo(runtime.zone), there or timezone.utc

	def convert(value: Any) -> Any:
		moment = _moment(value).replace(tzinfo=here).astimezone(to)
		if format in _SECONDS:
			return int(moment.timestamp() * 1_000_000) * _SECONDS[format] // 1_000_000
		if "%" in format:
			return moment.strftime(format)
		text = moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")
		return text.replace("+00:00", "Z")

	return convert


def _moment(value: Any) -> datetime:
	if isinstance(value, datetime):
		return value.replace(tzinfo=None)
	return datetime.fromisoformat(value.isoformat() if isinstance(value, date) else str(value))


def _select_map(row: FieldMapping, field: Field, runtime: Runtime) -> Outward:
	"""Make a conversion by the table of the argument, read from right to left; of several lines the first."""
	table: dict[str, str] = {}
	for line in filter(None, map(str.strip, row.argument.splitlines())):
		source, equals, target = (part.strip() for part in line.partition("="))
		if not equals:
			raise ValueError(_("{0!r} is not source = target", line))
		if source != "*":
			table.setdefault(target, source)
	if not table:
		raise ValueError(_("needs an argument: source = target, one a line"))

	def convert(value: Any) -> str:
		if str(value) not in table:
			raise ValueError(_("{0!r} is not one of {1}", value, ", ".join(table)))
		return table[str(value)]

	return convert


def _python(row: FieldMapping, field: Field, runtime: Runtime) -> Outward:
	"""Make a conversion by a registered function, which gets the document's value."""
	name, known = row.argument.strip(), runtime.transforms()
	if name not in known:
		raise ValueError(_("no transform {0!r} is registered (integration_hub_transforms)", name))
	function = contained(resolve(known[name]))

	def convert(value: Any) -> Any:
		with attempt() as called:
			return plain(function(value))
		raise ValueError(
			f"{name}: {type(called.error).__name__}: {error_text(called.error)}"
		) from called.error

	return convert


def _always(convert: Outward) -> Callable[[FieldMapping, Field, Runtime], Outward]:
	return lambda row, field, runtime: convert


_FACTORIES: dict[str, Callable[[FieldMapping, Field, Runtime], Outward]] = {
	"": _plain,
	"Text": _always(lambda value: str(plain(value))),
	"Integer": _always(lambda value: integer(plain(value))),
	"Number": _always(lambda value: plain(number(plain(value)))),
	"Check": _always(boolean),
	"Date": _date,
	"Datetime": _datetime,
	"Select Map": _select_map,
	"Rows": _always(lambda value: value),
	"Python": _python,
}
