"""Times as sources write them: ISO 8601, seconds or milliseconds since the epoch, or a format that a setting names."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from integration_hub.connectors.numbers import shown
from integration_hub.connectors.time_bounds import earliest

ReadTime = Callable[[Any], datetime]

FIRST_YEAR = 1000  # the first that MariaDB's DATE and DATETIME hold for sure
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # how many are a second
# As seconds, a number from here on is of the year 2286 or later; as milliseconds, up to there of 1973 or earlier.
_LARGEST_SECONDS, _LEAST_MILLISECONDS = 10**10, 10**11

_FORMATS = "s, ms, RFC 2822, 20260131 or one like %d.%m.%Y %H:%M"

_ISO = re.compile(
	r"(\d{4}-\d\d-\d\d|\d{8}(?=T))[T ]?(\d\d:\d\d(?::\d\d)?|\d{4}(?:\d\d)?)(?:[.,](\d+))?\s*(Z|[+-]\d\d(?::?\d\d)?)?",
	re.IGNORECASE | re.ASCII,
)
_DAY = re.compile(r"(?P<year>\d{4})(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)", re.ASCII)
# How .NET's older JSON serializer writes a time: milliseconds since the epoch; the offset is only how to show it.
_DOTNET = re.compile(r"/Date\((-?\d{1,16})([+-]\d{4})?\)/", re.ASCII)
_CLOCK = re.compile(r"[T ]\d\d:?\d\d", re.ASCII | re.IGNORECASE)
# How .NET (DateTime.MinValue), MySQL and PHP (its zero date, formatted) write that there is no time.
_NO_TIME = re.compile(
	r"(0000-00-00|0001-01-01|-0001-11-30)([T ]00:00(:00)?([.,]0+)?)?\s*(Z|[+-]\d\d(:?\d\d)?)?",
	re.ASCII | re.IGNORECASE,
)


def is_no_time(value: Any) -> bool:
	"""Tell whether a value is how some systems write that there is no time."""
	return (
		isinstance(value, str)
		and value.lstrip()[:1] in ("0", "-")
		and bool(_NO_TIME.fullmatch(value.strip()))
	)


def zone(name: str) -> tzinfo:
	"""Return a time zone of the IANA database. Raises ValueError."""
	try:
		return ZoneInfo(name.strip())
	except (ZoneInfoNotFoundError, ValueError, OSError):
		raise ValueError(f"{name!r} is not a time zone") from None


def time_format(argument: str) -> tuple[str, tzinfo | None]:
	"""Return the format and the zone that a conversion's argument names, "" and None where it names none.

	argument: `format`, `zone` or `format | zone`. Formats: `s`, `ms`, `us`, `ns` (since the epoch), `ISO 8601`,
	`RFC 2822`, `20260131` (a date in eight digits), or one of Python's strptime with `%`. Raises ValueError.
	"""
	first, bar, second = (part.strip() for part in argument.partition("|"))
	if is_format(first):
		return first, zone(second) if second else None
	if bar and first:
		raise ValueError(f"{first!r} is not a format of times: {_FORMATS}")
	if second:
		return "", zone(second)
	return "", _zone_alone(first) if first else None


def _zone_alone(name: str) -> tzinfo:
	"""Return the zone that stands where a format could; raises ValueError, which says what both look like."""
	try:
		return zone(name)
	except ValueError as error:
		raise ValueError(f"{error} (like Europe/Berlin), nor a format of times: {_FORMATS}") from None


def is_format(text: str) -> bool:
	"""Tell whether a text is a format of times: a unit of numbers, a strptime pattern or a named format."""
	return text in _UNITS or "%" in text or text in _NAMED


def time_reader(format: str, naive: tzinfo) -> ReadTime:
	"""Return a function that reads a value as an aware datetime and raises ValueError.

	format: as `time_format` returns it. naive: the zone of text without an offset.
	"""
	if format in _UNITS:
		return lambda value: since_epoch(value, format)
	if format == "RFC 2822":
		return lambda value: _aware(_rfc_2822(value), naive)
	pattern = _NAMED.get(format, format)
	if not pattern:
		return lambda value: parse_time(value, naive)
	_check_pattern(pattern)
	return lambda value: _aware(_by_pattern(value, pattern), naive)


# "": read as ISO 8601, or as a number since the epoch.
_NAMED = {"ISO 8601": "", "RFC 2822": "RFC 2822", "20260131": "%Y%m%d"}


def parse_time(value: Any, naive: tzinfo = timezone.utc) -> datetime:
	"""Read ISO 8601 / RFC 3339 text, `/Date(…)/`, or a number of seconds or milliseconds since 1970, as an aware datetime.

	naive: the zone of text without an offset. Raises ValueError, also for a number that could be either unit.
	"""
	if isinstance(value, int | float) and not isinstance(value, bool):
		size = abs(value)
		if _LARGEST_SECONDS <= size < _LEAST_MILLISECONDS:
			raise ValueError(
				f"{value!r} may be seconds or milliseconds; the conversion's argument says which: s or ms"
			)
		return since_epoch(value, "s" if size < _LARGEST_SECONDS else "ms")
	text = value.strip() if isinstance(value, str) else ""
	match = _ISO.fullmatch(text)
	if match:
		return _aware(_from_iso(match), naive)
	if _DAY.fullmatch(text):
		return datetime.fromisoformat(parse_date(text)).replace(tzinfo=naive)
	if dotnet := _DOTNET.fullmatch(text):
		return since_epoch(int(dotnet[1]), "ms")
	raise ValueError(f"{value!r} is not an ISO 8601 time")


def since_epoch(value: Any, unit: str) -> datetime:
	"""Return the time that is a number of `unit` (s, ms, us, ns) after 1970-01-01 UTC. Raises ValueError.

	value: a number, or text of one.
	"""
	try:
		if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
			raise ValueError
		count = Decimal(str(value)) if not isinstance(value, int) else value
		if not abs(count) < 10**24:  # also for what is not a number at all
			raise ValueError
		microseconds = int(count * 1_000_000 // _UNITS[unit])
		return _EPOCH + timedelta(microseconds=microseconds)
	except (ValueError, ArithmeticError):
		raise ValueError(f"{shown(value)} is not a time in {unit} since 1970") from None


def _aware(moment: datetime, naive: tzinfo) -> datetime:
	return moment if moment.tzinfo else moment.replace(tzinfo=naive)


def _from_iso(match: re.Match[str]) -> datetime:
	day, clock, fraction, offset = match.groups()
	if len(day) == 8:
		day = f"{day[:4]}-{day[4:6]}-{day[6:]}"
	if ":" not in clock:
		clock = ":".join(clock[at : at + 2] for at in range(0, len(clock), 2))
	clock = clock if clock.count(":") == 2 else f"{clock}:00"
	try:
		return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{_offset(offset)}")
	except ValueError:
		raise ValueError(f"{match.group()!r} is not an ISO 8601 time") from None


def _offset(written: str | None) -> str:
	"""Return an offset as Python 3.10 reads it."""
	offset = (written or "").upper().replace("Z", "+00:00")
	if len(offset) == 3:
		return f"{offset}:00"
	return offset if ":" in offset or not offset else f"{offset[:3]}:{offset[3:]}"


def _rfc_2822(value: Any) -> datetime:
	try:
		return parsedate_to_datetime(value)
	except (ValueError, TypeError, IndexError, AttributeError, OverflowError):
		raise ValueError(f"{shown(value)} is not an RFC 2822 time") from None


def _by_pattern(value: Any, pattern: str) -> datetime:
	text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else None
	try:
		if text is None:
			raise ValueError
		return datetime.strptime(text, pattern)
	except ValueError:
		raise ValueError(f"{shown(value)} is not a time like {pattern}") from None


def _check_pattern(pattern: str) -> None:
	"""Raise ValueError for a pattern that strptime does not know, or that names no whole date."""
	sample = datetime(2026, 1, 31, 13, 14, 15, tzinfo=timezone.utc)
	try:
		found = datetime.strptime(sample.strftime(pattern), pattern)
	except ValueError:
		raise ValueError(f"{pattern!r} is not a format that Python's strptime reads") from None
	if found.date() != sample.date():
		raise ValueError(f"{pattern!r} leaves out the day, the month or the year")


def parse_date(value: Any) -> str:
	"""Return the calendar date of a date or time text, as written: no zone moves it. Raises ValueError."""
	text = value.strip() if isinstance(value, str) else ""
	if not isinstance(value, str) or _DOTNET.fullmatch(text):
		return date_text(parse_time(value).date())
	match = _DAY.match(text)
	if match and (match.end() == len(text) or _CLOCK.match(text, match.end())):
		try:
			found = date(*(int(match[part]) for part in ("year", "month", "day")))
		except ValueError:
			pass
		else:
			return date_text(found)
	raise ValueError(f"{shown(value)} is not an ISO 8601 date")


def date_text(day: date) -> str:
	"""Return a date as every database stores it. Raises ValueError for a year that some do not hold."""
	check_year(day)
	return day.isoformat()


def check_year(day: date) -> None:
	"""Raise ValueError for a date or time before the year 1000: databases and Frappe make another year of it."""
	if day.year < FIRST_YEAR:
		raise ValueError(
			f"the year {day.year} is before {FIRST_YEAR}, the first that databases store as it is"
		)


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


def parse_zone(name: str) -> tzinfo:
	"""Return the time zone that a setting names, UTC for "". Raises ValueError."""
	return zone(name) if name.strip() else timezone.utc


def utc_reader(format: str = "", zone_name: str = "") -> Callable[[Any], str]:
	"""Return a function that reads a source time as UTC text and raises ValueError.

	format: as `time_format` takes it. zone_name: the zone of times that name none, "" for UTC. Of a reading that a clock
	gives twice, the earlier is meant: a watermark that is too early skips nothing. Raises ValueError.
	"""
	if not (format.strip() or zone_name.strip()):
		return utc_text_of
	pattern, zone_told = time_format(format)
	naive = zone_told or parse_zone(zone_name)
	read = time_reader(pattern, naive)

	def utc_text_read(value: Any) -> str:
		try:
			return utc_text(earliest(read(value)))
		except OverflowError:
			raise ValueError(f"{shown(value)} is out of range") from None

	return utc_text_read


def utc_text(moment: datetime) -> str:
	"""Return an aware datetime as UTC text with microseconds, which sorts by time. Raises ValueError."""
	try:
		utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
		return f"{utc.isoformat(timespec='microseconds')}Z"  # strftime writes the year 1 as «1»
	except OverflowError:
		raise ValueError(f"{moment!r} is out of range") from None
