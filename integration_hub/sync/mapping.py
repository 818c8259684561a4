"""From a record of the source to the fields of a document."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import cached_property
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from integration_hub.stores.ids import content_hash
from integration_hub.sync.config import FieldMapping, StreamConfig

Reader = Callable[[Any], Any]
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

CONVERSIONS = ("", "Text", "Integer", "Number", "Check", "Date", "Datetime")
_MAX_ID = 500
LocalTime = Callable[[datetime], str]


class MappingError(ValueError):
	"""A record that cannot be mapped; the text names the field."""


@dataclass(frozen=True)
class Mapped:
	"""One record, mapped: its external id, the target's fields, and what the source says of it."""

	external_id: str
	values: Mapping[str, Any]
	source_time: str
	deleted: bool

	@cached_property
	def content_hash(self) -> str:
		return content_hash(self.values)


class Mapper:
	"""A stream's mapping, compiled once.

	local_time turns an aware datetime into the text the home's database stores.
	"""

	def __init__(self, stream: StreamConfig, local_time: LocalTime):
		self._id = reader(stream.id_path)
		self._time = reader(stream.updated_at_path) if stream.updated_at_path else None
		self._deleted = reader(stream.deleted_path) if stream.deleted_path else None
		self._rows = [(row, reader(row.source_path) if row.source_path else None) for row in stream.mapping]
		self._local_time = local_time
		self._found: set[str] = set()

	def never_found(self) -> list[str]:
		"""Return the source paths at which no record so far had anything: a slip of the pen, maybe."""
		return [row.source_path for row, path in self._rows if path and row.field not in self._found]

	def external_id(self, record: Mapping[str, Any]) -> str:
		"""Return the record's id as text; raises MappingError if it has none."""
		value = _search(self._id, record, "id_path")
		if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
			raise MappingError("id_path: the record has no id there")
		if isinstance(value, float) and value.is_integer():
			value = int(value)
		text = str(value)
		if len(text) > _MAX_ID or "\x00" in text or _unencodable(text):
			raise MappingError(
				f"id_path: the id cannot be stored ({len(text)} characters, at most {_MAX_ID})"
			)
		return text

	def source_time(self, record: Mapping[str, Any]) -> str:
		"""Return the record's time of change as UTC text, "" if none; raises MappingError if unreadable."""
		value = _search(self._time, record, "updated_at_path") if self._time else None
		if value in (None, ""):
			return ""
		try:
			return utc_text(parse_time(value))
		except ValueError as error:
			raise MappingError(f"updated_at_path: {error}") from None

	def is_deleted(self, record: Mapping[str, Any]) -> bool:
		return bool(_search(self._deleted, record, "deleted_path")) if self._deleted else False

	def map(
		self, record: Mapping[str, Any], *, deleted: bool | None = None, external_id: str | None = None
	) -> Mapped:
		"""Map one record; raises MappingError naming the field that does not fit.

		deleted, external_id: what the caller knows already.
		"""
		external_id = self.external_id(record) if external_id is None else external_id
		gone = self.is_deleted(record) if deleted is None else deleted
		values = {} if gone else {row.field: self._value(row, path, record) for row, path in self._rows}
		return Mapped(external_id, values, self.source_time(record), gone)

	def _value(self, row: FieldMapping, path: Any, record: Mapping[str, Any]) -> Any:
		value = _search(path, record, row.field) if path else None
		if value is not None:
			self._found.add(row.field)
		if value is None or value == "":
			value = row.default_value or None
		if value is None:
			if row.required:
				raise MappingError(
					f"{row.field}: required, but the source has nothing at {row.source_path!r}"
				)
			return None
		try:
			return convert(value, row.conversion, self._local_time)
		except (ValueError, TypeError, OverflowError) as error:
			raise MappingError(f"{row.field}: {error}") from None


def reader(path: str) -> Reader:
	"""Return a function that looks a JMESPath up in a record.

	Most paths are names and dots; for those a look-up in dictionaries gives the same, and costs a tenth.
	"""
	if not _PLAIN.fullmatch(path):
		return jmespath.compile(path).search
	names = path.split(".")

	def read(record: Any) -> Any:
		for name in names:
			if not isinstance(record, dict):
				return None
			record = record.get(name)
		return record

	return read


def _search(path: Reader, record: Mapping[str, Any], field: str) -> Any:
	"""Look a path up; a function that does not fit the record's values is the record's problem."""
	try:
		return path(record)
	except (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
		raise MappingError(
			f"{field}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
		) from None


def _unencodable(text: str) -> bool:
	try:
		text.encode()
	except UnicodeEncodeError:
		return True
	return False


def convert(value: Any, conversion: str, local_time: LocalTime) -> Any:
	"""Convert a value of the source; raises ValueError saying what does not fit."""
	if conversion == "":
		return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
	if conversion == "Text":
		return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
	if conversion == "Check":
		return int(_boolean(value))
	if conversion in ("Integer", "Number"):
		return _number(value, conversion)
	if conversion == "Date":
		return parse_date(value)
	if conversion == "Datetime":
		return local_time(parse_time(value))
	raise ValueError(f"unknown conversion {conversion!r}")


def _number(value: Any, conversion: str) -> int | float:
	if isinstance(value, bool) or not isinstance(value, str | int | float):
		raise ValueError(f"{value!r} is not a number")
	try:
		if conversion == "Integer":
			return int(value) if isinstance(value, str) else _whole(value)
		number = float(value)
	except (ValueError, OverflowError):
		raise ValueError(f"{value!r} is not a number") from None
	if not math.isfinite(number):
		raise ValueError(f"{value!r} is not a finite number")
	return number


def _whole(value: int | float) -> int:
	if value != int(value):
		raise ValueError(f"{value!r} is not a whole number")
	return int(value)


def _boolean(value: Any) -> bool:
	if isinstance(value, bool | int | float):
		return bool(value)
	text = str(value).strip().lower()
	if text in ("true", "yes", "y", "on", "1"):
		return True
	if text in ("false", "no", "n", "off", "0"):
		return False
	raise ValueError(f"{value!r} is neither true nor false")


_ISO = re.compile(
	r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?\s*(Z|[+-]\d\d(?::?\d\d)?)?", re.IGNORECASE
)


def parse_time(value: Any) -> datetime:
	"""Read ISO 8601 / RFC 3339 text, or seconds (or milliseconds) since the epoch, as an aware datetime.

	Text without an offset is UTC. Raises ValueError.
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
			return datetime.fromisoformat(str(value).strip()).replace(tzinfo=timezone.utc)
		raise ValueError(f"{value!r} is not an ISO 8601 time")
	day, clock, fraction, offset = match.groups()
	offset = (offset or "+00:00").upper().replace("Z", "+00:00")
	if len(offset) == 3:
		offset += ":00"
	elif ":" not in offset:
		offset = f"{offset[:3]}:{offset[3:]}"
	clock = clock if clock.count(":") == 2 else f"{clock}:00"
	return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{offset}")


def parse_date(value: Any) -> str:
	"""Return the calendar date of a date or time text, as written: no zone moves it. Raises ValueError."""
	if isinstance(value, str):
		try:
			return date.fromisoformat(value.strip()[:10]).isoformat()
		except ValueError:
			raise ValueError(f"{value!r} is not an ISO 8601 date") from None
	return parse_time(value).date().isoformat()


def utc_text(moment: datetime) -> str:
	"""Return an aware datetime as UTC text with microseconds, which sorts by time."""
	try:
		utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
		return f"{utc.isoformat(timespec='microseconds')}Z"  # strftime writes the year 1 as «1»
	except OverflowError:
		raise ValueError(f"{moment!r} is out of range") from None


def path_problem(path: str) -> str | None:
	"""Return why a JMESPath expression cannot be used, None if it can."""
	try:
		jmespath.compile(path)
	except JMESPathError as error:
		return f"{path!r} is not a JMESPath expression ({str(error).splitlines()[0]})"
	return None
