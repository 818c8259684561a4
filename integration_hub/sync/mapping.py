"""Mapping of a source's record to the fields of a document."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, NoReturn

from integration_hub.connectors.app_code import error_text
from integration_hub.connectors.bounded_jmespath import PathError, Reader, computes, reader
from integration_hub.connectors.completeness_signs import says_yes
from integration_hub.connectors.known_secrets import KnownSecrets, is_secret
from integration_hub.connectors.responses import shape
from integration_hub.stores.ids import HASH_LENGTH, content_hash
from integration_hub.stores.runtime import CANCEL, SUBMIT
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.conversions import LocalTime, converter
from integration_hub.sync.record_ids import id_reader
from integration_hub.sync.stream_slices import OUTER
from integration_hub.sync.times import is_no_time, utc_reader, utc_text

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_MAX_ID = 500
DETAIL_FAILED = "^failed"  # at which a record says why its detail could not be fetched
GONE = "^gone"  # at which a record says that the source has no detail of it any more
WHOLE = "@"  # as the id: records are told apart by all that they say
# A record dated later than this from now has a wrong clock: as a watermark it would hide every change until then,
# and its own deletion, dated when the clock is put right, would be taken for an old one.
FUTURE = timedelta(days=1)
_SCALARS = frozenset({str, int})  # not float: NaN is one


class MappingError(ValueError):
	"""A record that cannot be mapped; the text names the field."""


class SecretFound(MappingError):
	"""A record in which a secret of the integration stands where a value should. It is not kept."""


@dataclass(slots=True)
class Mapped:
	"""One record, mapped: its external id, the target's fields, and what the source says of it.

	A child table's value is a list of dictionaries. skipped: a rule of the stream leaves it alone. state: what its
	document is to be afterwards (see stores.runtime.Change). content_hash is "" for a deletion, and source_time for a record
	that is undated, or dated in the future.
	"""

	external_id: str
	values: dict[str, Any]
	source_time: str
	deleted: bool
	content_hash: str = ""
	skipped: bool = False
	state: str = ""


class Mapper:
	"""A stream's mapping, compiled once.

	local_time: turns an aware datetime into the text the runtime's database stores.
	transforms: the registered Python functions of the conversion Python, name → dotted path.
	Raises MappingError for a row that cannot be compiled (see sync.stream_checks, which says it on saving).
	"""

	def __init__(
		self, stream: StreamConfig, local_time: LocalTime, transforms: Mapping[str, str] | None = None
	) -> None:
		self._guard = guard = _Guard()
		self._id = id_reader(stream.id_path, lambda path: guard.reader(path, "id_path"))
		self._by_content = stream.id_path == WHOLE
		self._time, self._deleted, self._filter, self._skip, self._submit, self._cancel = (
			guard.reader(path, name) if (path := getattr(stream, name)) else None
			for name in (
				"updated_at_path",
				"deleted_path",
				"record_filter",
				"skip_when",
				"submit_when",
				"cancel_when",
			)
		)
		self._submits = stream.after_writing == "Submit"
		# Paths of the source's own marks at which no record so far had anything, by setting.
		marks = {name: getattr(stream, name) for name in ("updated_at_path", "deleted_path")}
		self.silent = {name: path for name, path in marks.items() if path}
		self._utc_text = _time_reader(stream)
		self._rows = _compiled(stream.mapping, guard, local_time, transforms or {})
		self._fields = [(row.field, row.plain_key, row) for row in self._rows]
		self._unfound = [row for row in self._rows if row.read]
		self._looked = False
		self.latest = utc_text(datetime.now(timezone.utc) + FUTURE)
		fields = repr([row.field for row in self._rows]).encode()
		self._salt = hashlib.blake2b(fields, digest_size=HASH_LENGTH // 2)

	@property
	def known(self) -> KnownSecrets | None:
		"""Return the finder of the integration's secrets, which become no values."""
		return self._guard.known

	@known.setter
	def known(self, known: KnownSecrets | None) -> None:
		"""Set the finder of the integration's secrets, and drop what was looked at with the one before."""
		self._guard.known, self._guard.clear = known, None

	def never_found(self) -> list[str]:
		"""Return the source paths at which no record so far had anything: they may be mistyped."""
		return [row.source_path for row in self._unfound] if self._looked else []

	def external_id(self, record: Mapping[str, Any]) -> str:
		"""Return the record's id as text; raises MappingError if it has none."""
		value = _search(self._id, record, "id_path")
		if self._by_content:
			return content_hash({name: part for name, part in record.items() if name != OUTER})[:HASH_LENGTH]
		if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
			keys = shape(record, "the record")
			raise MappingError(f"id_path: the record has no id there; {keys}")
		if isinstance(value, float) and not math.isfinite(value):
			raise MappingError(f"id_path: {value!r} is no id")
		if isinstance(value, float) and value.is_integer():
			value = int(value)
		text = str(value)
		if len(text) > _MAX_ID or "\x00" in text or _unencodable(text):
			raise MappingError(
				f"id_path: the id cannot be stored ({len(text)} characters, at most {_MAX_ID})"
			)
		if self.known and self.known.stands_in_repr(repr(text)):
			raise SecretFound(f"id_path: {is_secret()}")
		return text

	def source_time(self, record: Mapping[str, Any]) -> str:
		"""Return the record's time of change as UTC text, "" if none; raises MappingError if unreadable."""
		value = _search(self._time, record, "updated_at_path") if self._time else None
		if value is not None and "updated_at_path" in self.silent:
			del self.silent["updated_at_path"]
		if value in (None, "") or is_no_time(value):
			return ""
		try:
			return self._utc_text(value)
		except ValueError as error:
			raise MappingError(f"updated_at_path: {error}") from None

	def is_deleted(self, record: Mapping[str, Any]) -> bool:
		"""Tell whether `deleted_path` marks the record: any value but a false one, such as "no" or "0"."""
		found = _search(self._deleted, record, "deleted_path") if self._deleted else False
		if found is not None and "deleted_path" in self.silent:
			del self.silent["deleted_path"]
		# "false", "no" and "0" mean what they say; a date, say, that there is one
		return says_yes(found) and not (isinstance(found, str) and is_no_time(found))

	def passes(self, record: Mapping[str, Any]) -> bool:
		"""Tell whether a record is one of the stream's, by its record filter; a deletion always is.

		Raises MappingError where the filter does not fit the record.
		"""
		if not self._filter:
			return True
		return says_yes(_search(self._filter, record, "record_filter")) or self.is_deleted(record)

	def is_skipped(self, record: Mapping[str, Any]) -> bool:
		"""Tell whether the stream's rule has a record not be written. Raises MappingError where it does not fit."""
		return bool(self._skip) and says_yes(_search(self._skip, record, "skip_when"))

	def map(
		self, record: Mapping[str, Any], *, deleted: bool | None = None, external_id: str | None = None
	) -> Mapped:
		"""Map one record; raises MappingError naming the field that does not fit.

		deleted, external_id: what the caller knows already.
		"""
		external_id = self.external_id(record) if external_id is None else external_id
		gone = self.is_deleted(record) if deleted is None else deleted
		time = self.source_time(record) if self._time else ""
		time = "" if time > self.latest else time
		if gone:
			return Mapped(external_id, {}, time, True)
		self._looked = True
		if self._unfound:
			self._unfound = [row for row in self._unfound if not _is_found(row, record)]
		values = {}
		for field, key, row in self._fields:
			# What is text or a number under a plain name and needs no conversion is most of what there is.
			value = record.get(key) if key else None
			values[field] = value if value and value.__class__ in _SCALARS else row.value(record)
		state = self.state(record)
		return Mapped(external_id, values, time, False, self.hash(values, state), state=state)

	def state(self, record: Mapping[str, Any]) -> str:
		"""Return what a record's document is to be afterwards. Raises MappingError where a condition does not fit."""
		if self._cancel and says_yes(_search(self._cancel, record, "cancel_when")):
			return CANCEL
		if not self._submits:
			return ""
		return SUBMIT if not self._submit or says_yes(_search(self._submit, record, "submit_when")) else ""

	def hash(self, values: Mapping[str, Any], state: str = "") -> str:
		"""Return a hash of mapped values, and of their state; raises MappingError for text that no database stores."""
		# Python's own spelling costs a third of JSON's. Where another version spells a value differently, its
		# record is written once more.
		text = repr(list(values.values()))
		if self.known and self.known.stands_in_repr(text):
			_refuse_secret(values, self.known)
		if "\\ud" in text or "\\x00" in text:  # how Python spells half a character, and NUL
			_check_text(values)
		digest = self._salt.copy()
		digest.update(f"{text}{state}".encode())
		return digest.hexdigest()


def _time_reader(stream: StreamConfig) -> Callable[[Any], str]:
	try:
		return utc_reader(stream.updated_at_format, stream.time_zone)
	except ValueError as error:
		raise MappingError(f"updated_at_format: {error}") from None


def _refuse_secret(values: Mapping[str, Any], known: KnownSecrets) -> NoReturn:
	field = next((f for f, value in values.items() if known.stands_in_repr(repr(value))), "")
	raise SecretFound(f"{field}: {is_secret()}")


class _Guard:
	"""Keeps expressions from records in which a secret stands, where they make something of what they meet.

	Turned round it would be no secret that is known, and a comparison tells whether a guess is right.
	"""

	def __init__(self) -> None:
		self.known: KnownSecrets | None = None
		self.clear: Any = None  # the last one in which there is none

	def reader(self, path: str, field: str, computing: bool = False) -> Reader:
		"""Return what reads a path; raises MappingError, as does what is returned. computing: is more made of it?"""
		read = _reader(path, field)
		if not (computing or computes(path)):
			return read

		def guarded(record: Any) -> Any:
			if self.known and record is not self.clear:
				if self.known.stands_in_any(record):
					raise SecretFound(f"{field}: {is_secret()}")
				self.clear = record
			return read(record)

		return guarded


class _Row:
	"""One row of the mapping, compiled."""

	__slots__ = (
		"convert",
		"default",
		"field",
		"is_time",
		"label",
		"plain_key",
		"read",
		"required",
		"source_path",
	)

	def __init__(
		self, row: FieldMapping, guard: _Guard, local_time: LocalTime, transforms: Mapping[str, str]
	) -> None:
		self.field, self.label = row.field, row.field
		self.source_path, self.default, self.required = row.source_path, row.default_value, row.required
		self.read = None
		if row.source_path:
			self.read = guard.reader(row.source_path, row.field, row.conversion == "Python")
		self.is_time = row.conversion in ("Date", "Datetime")
		is_plain = row.conversion == "" and _PLAIN.fullmatch(row.source_path) and "." not in row.source_path
		self.plain_key = row.source_path if is_plain else ""
		try:
			self.convert = converter(row.conversion, row.argument, local_time, transforms)
		except ValueError as error:
			raise MappingError(f"{row.field}: {error}") from None

	def value(self, record: Mapping[str, Any]) -> Any:
		"""Return the field's value for a record; raises MappingError."""
		try:
			value = self.read(record) if self.read else None
		except PathError as error:
			raise MappingError(f"{self.label}: {_first_line(error)}") from None
		if value is None or value == "" or (self.is_time and is_no_time(value)):
			value = self.default or None
			if value is None:
				if self.required:
					raise MappingError(
						f"{self.label}: required, but the source has nothing at {self.source_path!r}"
					)
				return self.empty()
		try:
			return self.convert(value)
		except (ValueError, TypeError, OverflowError, LookupError, ArithmeticError, AttributeError) as error:
			raise MappingError(f"{self.label}: {_first_line(error)}") from None

	def empty(self) -> Any:
		return None


class _Table(_Row):
	"""A child table's row of the mapping, with those of its fields."""

	__slots__ = ("looks_out", "rows")

	def __init__(self, row: FieldMapping, rows: list[_Row], *context: Any) -> None:
		super().__init__(row, *context)
		self.rows = rows
		self.looks_out = any(OUTER in child.source_path for child in rows)
		for child in rows:
			child.label = f"{row.field}.{child.field}"

	def value(self, record: Mapping[str, Any]) -> list[dict[str, Any]]:
		found = super().value(record)
		if self.looks_out:
			found = [{**item, OUTER: record} for item in found]
		return [{row.field: row.value(item) for row in self.rows} for item in found]

	def empty(self) -> list:
		return []


def _compiled(mapping: Iterable[FieldMapping], *context: Any) -> list[_Row]:
	"""Compile rows, in the order of their fields: so the hash does not depend on the rows' order.

	context: what a row is made with besides its settings.
	"""
	children: dict[str, list[_Row]] = {}
	tops: list[FieldMapping] = []
	for row in sorted(mapping, key=lambda row: row.field):
		table, dot, field = row.field.partition(".")
		if dot:
			children.setdefault(table, []).append(_Row(_renamed(row, field), *context))
		else:
			tops.append(row)
	return [
		_Table(row, children.get(row.field, []), *context)
		if row.conversion == "Rows"
		else _Row(row, *context)
		for row in tops
	]


def _renamed(row: FieldMapping, field: str) -> FieldMapping:
	return replace(row, field=field)


def _reader(path: str, field: str) -> Reader:
	try:
		return reader(path)
	except PathError as error:
		raise MappingError(f"{field}: {error}") from None


def _is_found(row: _Row, record: Mapping[str, Any]) -> bool:
	try:
		return bool(row.read) and row.read(record) is not None
	except PathError:
		return False


def _search(path: Reader, record: Mapping[str, Any], field: str) -> Any:
	try:
		return path(record)
	except PathError as error:
		raise MappingError(f"{field}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
	return next(iter(error_text(error).splitlines()), "") or type(error).__name__


def _check_text(values: Mapping[str, Any], prefix: str = "") -> None:
	for field, value in values.items():
		if isinstance(value, list):
			for row in value:
				_check_text(row, f"{field}.") if isinstance(row, dict) else None
		elif isinstance(value, str) and ("\x00" in value or _unencodable(value)):
			raise MappingError(f"{prefix}{field}: holds characters that cannot be stored")


def _unencodable(text: str) -> bool:
	if text.isascii():
		return False
	try:
		text.encode()
	except UnicodeEncodeError:
		return True
	return False
