"""Conversions of a source's value to a field's: one short factory each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from integration_hub.connectors.app_code import attempt, contained, error_text
from integration_hub.connectors.json_text import write_json
from integration_hub.connectors.numbers import integer, number
from integration_hub.connectors.registry import resolve
from integration_hub.sync.times import (
	check_year,
	date_text,
	parse_date,
	time_format,
	time_reader,
)

LocalTime = Callable[[datetime], str]
Convert = Callable[[Any], Any]
Factory = Callable[[str, LocalTime, Mapping[str, str]], Convert]


def _plain(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	_no_argument(argument)

	def convert(value: Any) -> Any:
		if isinstance(value, float) and not math.isfinite(value):
			raise ValueError(f"{value!r} is not a finite number")
		return write_json(value) if isinstance(value, dict | list) else value

	return convert


def _text(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	_no_argument(argument)
	return text


def _integer(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	_no_argument(argument)
	return integer


def _float(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	_no_argument(argument)
	return number


def _check(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	_no_argument(argument)
	return lambda value: int(boolean(value))


def _date(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	"""Make a conversion to a date.

	argument: a format, the zone whose calendar counts, or both (see times.time_format).

	Without a zone the date stays as written.
	"""
	format, there = time_format(argument)
	if not format and not there:
		return parse_date
	read = time_reader(format, there or timezone.utc)

	def convert(value: Any) -> str:
		if not format and isinstance(value, str) and len(value.strip()) == 10:
			return parse_date(value)
		moment = read(value)
		return date_text((moment.astimezone(there) if there else moment).date())

	return convert


def _datetime(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	"""Make a conversion to a time.

	argument: a format, the zone of times that name none, or both (see times.time_format); UTC without a zone.
	"""
	format, there = time_format(argument)
	read = time_reader(format, there or timezone.utc)

	def convert(value: Any) -> str:
		moment = read(value)
		check_year(moment)
		return local_time(moment)

	return convert


def _select_map(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	"""Make a conversion by a table. argument: `source = target`, one a line; `*` stands for every other value."""
	table = {}
	for line in filter(None, map(str.strip, argument.splitlines())):
		source, equals, target = line.partition("=")
		if not equals:
			raise ValueError(f"{line!r} is not source = target")
		table[source.strip()] = target.strip()
	if not table:
		raise ValueError("needs an argument: source = target, one a line")
	other = table.pop("*", None)

	def convert(value: Any) -> str:
		# JSON's words for what is no text: true, 1, 1.5
		found = table.get(text(value), other)
		if found is None:
			raise ValueError(f"{value!r} is not one of {', '.join(table)}")
		return found

	return convert


def _link(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	"""Make a conversion to a document's name.

	argument: the field of the linked DocType to look for, or `stream:NAME`; of a dynamic link, one of them for each
	DocType. See sync.link_conversions.
	"""
	lines = list(filter(None, map(str.strip, argument.splitlines())))
	if (
		not lines
		or not all(map(_finds, lines))
		or (len(lines) > 1 and not all("=" in line for line in lines))
	):
		raise ValueError("needs an argument: the linked DocType's field to look for, or stream:NAME")

	def convert(value: Any) -> str:
		if isinstance(value, dict | list | bool):
			raise ValueError(f"{value!r} does not name a document")
		return str(value)

	return convert


def _finds(line: str) -> bool:
	"""Tell whether a line says how a document is found, for a DocType or for all."""
	by = line if line.startswith("stream:") else line.partition("=")[2].strip() or line
	return by.startswith("stream:") or by.isidentifier()


def _python(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	"""Make a conversion by a function. argument: its registered name; it gets the value and returns the field's."""
	name = argument.strip()
	if name not in transforms:
		raise ValueError(f"no transform {name!r} is registered (integration_hub_transforms)")
	function = contained(resolve(transforms[name]))

	def convert(value: Any) -> Any:
		with attempt() as called:
			return function(value)
		kind = type(called.error).__name__
		raise ValueError(f"{name}: {kind}: {error_text(called.error)}") from called.error

	return convert


def _rows(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	_no_argument(argument)

	def convert(value: Any) -> list:
		if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
			raise ValueError("is not a list of objects")
		return value

	return convert


_FACTORIES: dict[str, Factory] = {
	"": _plain,
	"Text": _text,
	"Integer": _integer,
	"Number": _float,
	"Check": _check,
	"Date": _date,
	"Datetime": _datetime,
	"Select Map": _select_map,
	"Link": _link,
	"Rows": _rows,
	"Python": _python,
}
CONVERSIONS = tuple(_FACTORIES)


def converter(
	conversion: str, argument: str, local_time: LocalTime, transforms: Mapping[str, str]
) -> Convert:
	"""Return the function that converts a value, and raises ValueError saying what does not fit.

	local_time: turns an aware datetime into the text the runtime's database stores.
	transforms: the registered Python functions, name → dotted path.
	Raises ValueError when there is no such conversion or it does not take the argument.
	"""
	if conversion not in _FACTORIES:
		raise ValueError(f"conversion {conversion!r} is not one of {', '.join(filter(None, CONVERSIONS))}")
	return _FACTORIES[conversion](argument, local_time, transforms)


def _no_argument(argument: str) -> None:
	if argument.strip():
		raise ValueError("takes no argument")


def text(value: Any) -> str:
	"""Return text as it is, and anything else as JSON spells it. Raises ValueError for NaN and Infinity."""
	return value if isinstance(value, str) else write_json(value)


def boolean(value: Any) -> bool:
	"""Return the truth that a value spells. Raises ValueError."""
	if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
		return bool(value)
	text = str(value).strip().lower()
	if text in ("true", "yes", "y", "on", "1"):
		return True
	if text in ("false", "no", "n", "off", "0"):
		return False
	raise ValueError(f"{value!r} is neither true nor false")
