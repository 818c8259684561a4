"""From a value of the source to a value of a field: one short factory a conversion."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from integration_hub.connectors.registry import resolve

LocalTime = Callable[[datetime], str]
Convert = Callable[[Any], Any]
Factory = Callable[[str, LocalTime, Mapping[str, str]], Convert]


def _plain(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	_no_argument(argument)
	return lambda value: _json(value) if isinstance(value, dict | list) else value


def _text(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	_no_argument(argument)
	return lambda value: value if isinstance(value, str) else _json(value)


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
	"""argument: the zone whose calendar counts. Without it the date stays as written."""
	if not argument.strip():
		return parse_date
	there = zone(argument)
	return lambda value: (
		parse_date(value)
		if isinstance(value, str) and len(value.strip()) == 10
		else parse_time(value).astimezone(there).date().isoformat()
	)


def _datetime(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	"""argument: the zone of times that name none; UTC without it."""
	there = zone(argument) if argument.strip() else timezone.utc
	return lambda value: local_time(parse_time(value, there))


def _select_map(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	"""argument: `source = target`, one a line; `*` stands for every other value."""
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
		found = table.get(value if isinstance(value, str) else _json(value), other)
		if found is None:
			raise ValueError(f"{value!r} is not one of {', '.join(table)}")
		return found

	return convert


def _link(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	"""argument: the field of the linked DocType to look for, or `stream:NAME`; see sync.links."""
	if not (argument.strip().startswith("stream:") or argument.strip().isidentifier()):
		raise ValueError("needs an argument: the linked DocType's field to look for, or stream:NAME")

	def convert(value: Any) -> str:
		if isinstance(value, dict | list | bool):
			raise ValueError(f"{value!r} does not name a document")
		return str(value)

	return convert


def _python(argument: str, local_time: LocalTime, transforms: Mapping[str, str]) -> Convert:
	"""argument: a registered name; its function gets the value and returns the field's."""
	name = argument.strip()
	if name not in transforms:
		raise ValueError(f"no transform {name!r} is registered (integration_hub_transforms)")
	function = resolve(transforms[name])

	def convert(value: Any) -> Any:
		try:
			return function(value)
		except Exception as error:
			raise ValueError(f"{name}: {type(error).__name__}: {error}") from error

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

	local_time: turns an aware datetime into the text the home's database stores.
	transforms: the registered Python functions, name → dotted path.
	Raises ValueError when there is no such conversion or it does not take the argument.
	"""
	if conversion not in _FACTORIES:
		raise ValueError(f"conversion {conversion!r} is not one of {', '.join(filter(None, CONVERSIONS))}")
	return _FACTORIES[conversion](argument, local_time, transforms)


def _no_argument(argument: str) -> None:
	if argument.strip():
		raise ValueError("takes no argument")


def _json(value: Any) -> str:
	return json.dumps(value, ensure_ascii=False)


def integer(value: Any) -> int:
	"""Return a whole number. Raises ValueError."""
	if isinstance(value, bool) or not isinstance(value, str | int | float):
		raise ValueError(f"{value!r} is not a number")
	try:
		whole = int(value)
	except (ValueError, OverflowError):
		raise ValueError(f"{value!r} is not a number") from None
	if not isinstance(value, str) and whole != value:
		raise ValueError(f"{value!r} is not a whole number")
	return whole


def number(value: Any) -> float:
	"""Return a finite number. Raises ValueError."""
	if isinstance(value, bool) or not isinstance(value, str | int | float):
		raise ValueError(f"{value!r} is not a number")
	try:
		found = float(value)
	except (ValueError, OverflowError):
		raise ValueError(f"{value!r} is not a number") from None
	if not math.isfinite(found):
		raise ValueError(f"{value!r} is not a finite number")
	return found


def boolean(value: Any) -> bool:
	"""Return the truth that a value spells. Raises ValueError."""
	if isinstance(value, bool | int | float):
		return bool(value)
	text = str(value).strip().lower()
	if text in ("true", "yes", "y", "on", "1"):
		return True
	if text in ("false", "no", "n", "off", "0"):
		return False
	raise ValueError(f"{value!r} is neither true nor false")


def zone(name: str) -> tzinfo:
	"""Return a time zone of the IANA database. Raises ValueError."""
	try:
		return ZoneInfo(name.strip())
	except (ZoneInfoNotFoundError, ValueError, OSError):
		raise ValueError(f"{name!r} is not a time zone") from None


_ISO = re.compile(
	r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?\s*(Z|[+-]\d\d(?::?\d\d)?)?", re.IGNORECASE
)


def parse_time(value: Any, naive: tzinfo = timezone.utc) -> datetime:
	"""Read ISO 8601 / RFC 3339 text, or seconds (or milliseconds) since the epoch, as an aware datetime.

	naive: the zone of text without an offset. Raises ValueError.
	"""
	if isinstance(value, bool):
		raise ValueError(f"{value!r} is not a time")
	if isinstance(value, int | float):
		seconds = value / 1000 if abs(value) > 1e11 else value
		try:
			return datetime.fromtimestamp(seconds, timezone.utc)
		except (ValueError, OverflowError, OSError):
			raise ValueError(f"{value!r} is not a time") from None
	match = _ISO.fullmatch(str(value).strip())
	if not match:
		if re.fullmatch(r"\d{4}-\d\d-\d\d", str(value).strip()):
			return datetime.fromisoformat(str(value).strip()).replace(tzinfo=naive)
		raise ValueError(f"{value!r} is not an ISO 8601 time")
	day, clock, fraction, offset = match.groups()
	clock = clock if clock.count(":") == 2 else f"{clock}:00"
	moment = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{_offset(offset)}")
	return moment if offset else moment.replace(tzinfo=naive)


def _offset(written: str | None) -> str:
	"""Return an offset as Python 3.10 reads it."""
	offset = (written or "").upper().replace("Z", "+00:00")
	if len(offset) == 3:
		return f"{offset}:00"
	return offset if ":" in offset or not offset else f"{offset[:3]}:{offset[3:]}"


def parse_date(value: Any) -> str:
	"""Return the calendar date of a date or time text, as written: no zone moves it. Raises ValueError."""
	if isinstance(value, str):
		try:
			return date.fromisoformat(value.strip()[:10]).isoformat()
		except ValueError:
			raise ValueError(f"{value!r} is not an ISO 8601 date") from None
	return parse_time(value).date().isoformat()


def utc_text_of(value: Any) -> str:
	"""Return `utc_text(parse_time(value))`, which most sources nearly write by themselves: that is a page's seventh.

	Raises ValueError.
	"""
	if value.__class__ is str and len(value) in (20, 24, 27) and value[-1] == "Z" and value[19] in "Z.":
		try:
			text = datetime.fromisoformat(value[:-1]).isoformat(timespec="microseconds")
		except ValueError:
			text = ""  # what is wrong with it is said below
		if text[:19] == value[:19]:
			return f"{text}Z"
	return utc_text(parse_time(value))


def utc_text(moment: datetime) -> str:
	"""Return an aware datetime as UTC text with microseconds, which sorts by time. Raises ValueError."""
	try:
		utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
		return f"{utc.isoformat(timespec='microseconds')}Z"  # strftime writes the year 1 as «1»
	except OverflowError:
		raise ValueError(f"{moment!r} is out of range") from None
