"""Mapping outwards: from a document to the record that the system is to hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, search
from integration_hub.connectors.placeholders import Template, TemplateError
from integration_hub.lazy_messages import _
from integration_hub.outbound.config import OutboundStream
from integration_hub.outbound.conversions import Outward, outward
from integration_hub.outbound.fields_read import fields_read
from integration_hub.outbound.filters import Filter, read_filters
from integration_hub.stores.doctype_tables import TABLES
from integration_hub.stores.fields import Field, Fields
from integration_hub.stores.ids import HASH_LENGTH, content_hash
from integration_hub.stores.runtime import ReadRefused, Runtime
from integration_hub.stores.sent_records import external_ids
from integration_hub.sync.config import FieldMapping
from integration_hub.sync.link_conversions import STREAM

_PATH = re.compile(r"[A-Za-z_@$][\w@$-]*(\.[A-Za-z_@$][\w@$-]*)*")
STANDARD = ("name", "owner", "creation", "modified", "modified_by", "docstatus")
_NOWHERE = Field("Data")


class RenderError(ValueError):
	"""A document that cannot be mapped; the text names the field."""


class Unbound(Exception):
	"""A document links to another one that the system does not have yet: that one has to go first."""

	def __init__(self, stream: str, document: str, field: str) -> None:
		self.stream, self.document, self.field = stream, document, field
		super().__init__(f"{field}: {document} is not in the external system yet (stream {stream})")


@dataclass(frozen=True)
class Rendered:
	"""A document as it is sent. hash: of the payload, whatever the order of its keys. modified: of the document."""

	payload: dict[str, Any]
	hash: str
	modified: str


@dataclass(frozen=True)
class _Row:
	"""One row of the mapping, compiled. template: what is sent where no field is mapped."""

	setting: FieldMapping
	path: tuple[str, ...]
	convert: Outward
	default: Any
	template: Template | None


class Renderer:
	"""A stream's mapping, filters and condition, compiled once. Raises ValueError for what cannot be compiled."""

	def __init__(self, runtime: Runtime, stream: OutboundStream, fields: Fields) -> None:
		self.runtime, self.stream, self.fields = runtime, stream, fields
		self.filters: list[Filter] = read_filters(stream.out_filters)
		self.tables: dict[str, list[str]] = {}
		for name, field in fields.items():
			if field.kind in TABLES:
				self.tables.setdefault(field.options, []).append(name)
		self._reads = fields_read(stream, fields)
		self._plain: list[_Row] = []
		self._children: dict[str, list[_Row]] = {}
		for row in stream.mapping:
			table, dot, _child = row.field.partition(".")
			place = self._children.setdefault(table, []) if dot else self._plain
			place.append(self._compiled(row))

	def wants(self, document: Mapping[str, Any]) -> bool:
		"""Tell whether a document fits filters and condition.

		Raises RenderError where the condition does not fit it, and where the user that the integration runs as may not
		read what it takes to tell, and to send it.
		"""
		self._check_read(self.stream.target_doctype, document, self._reads)
		if not all(one.fits(document, self.tables) for one in self.filters):
			return False
		if not self.stream.out_condition:
			return True
		try:
			return bool(search(self.stream.out_condition, dict(document)))
		except PathError as error:
			raise RenderError(f"out_condition: {error}") from None

	def _check_read(self, doctype: str, document: Mapping[str, Any], paths: Sequence[str]) -> None:
		try:
			self.runtime.check_read(self.stream.integration, doctype, document, paths)
		except ReadRefused as error:
			raise RenderError(str(error)) from None

	def render(self, document: Mapping[str, Any]) -> Rendered:
		"""Map a document; without a mapping it is what it holds. Raises RenderError, and Unbound."""
		payload = self._mapped(document) if self.stream.mapping else self._whole(document)
		modified = str(document.get("modified") or "")
		return Rendered(payload, content_hash(payload)[:HASH_LENGTH], modified)

	def _whole(self, document: Mapping[str, Any]) -> dict[str, Any]:
		names = [*STANDARD, *(name for name, field in self.fields.items() if field.kind != "Password")]
		return {name: self._plain_value(document[name]) for name in names if name in document}

	def _plain_value(self, value: Any) -> Any:
		if isinstance(value, list):
			return [{key: self._plain_value(inner) for key, inner in row.items()} for row in value]
		return value if isinstance(value, str | int | float | bool | None) else str(value)

	def _mapped(self, document: Mapping[str, Any]) -> dict[str, Any]:
		payload: dict[str, Any] = {}
		for row in self._plain:
			_put(
				payload,
				row,
				self._rows_of(row, document) if self._is_table(row) else self._value(row, document),
			)
		return payload

	def _is_table(self, row: _Row) -> bool:
		return row.setting.conversion == "Rows"

	def _rows_of(self, row: _Row, document: Mapping[str, Any]) -> list[dict[str, Any]]:
		found = []
		for number, child in enumerate(document.get(row.setting.field) or (), 1):
			record: dict[str, Any] = {}
			for inner in self._children.get(row.setting.field, ()):
				_put(record, inner, self._value(inner, child, f"row {number}, "))
			found.append(record)
		return found

	def _value(self, row: _Row, holder: Mapping[str, Any], place: str = "") -> Any:
		name = row.setting.field.rpartition(".")[2]
		try:
			if row.template:
				return row.template.value({"doc": holder, **holder})
			value = holder.get(name)
			value = row.default if value in (None, "") else row.convert(value)
		except (ValueError, TypeError) as error:
			raise RenderError(f"{place}{row.setting.field or row.setting.source_path}: {error}") from None
		if value is None and row.setting.required:
			raise RenderError(_("{0}{1}: is empty, and required", place, row.setting.field))
		return value

	def _compiled(self, row: FieldMapping) -> _Row:
		if not _PATH.fullmatch(row.source_path or ""):
			raise ValueError(_("{0!r} is not a place in the record, as address.city", row.source_path))
		template = None if row.field else Template.read(row.default_value)
		default = _constant(row.default_value) if row.default_value else None
		convert = (
			self._linked(row) if row.conversion == "Link" else outward(row, self._field(row), self.runtime)
		)
		return _Row(row, tuple(row.source_path.split(".")), convert, default, template)

	def _field(self, row: FieldMapping) -> Field:
		table, dot, child = row.field.partition(".")
		field = self.fields.get(table, _NOWHERE)
		return field.fields.get(child, _NOWHERE) if dot else field

	def _linked(self, row: FieldMapping) -> Outward:
		"""Return the conversion of a link: to the external id in a stream, or to a field of the linked document."""
		by, doctype = row.argument.strip(), self._field(row).options
		if by.startswith(STREAM):
			return lambda value: self._external_id(by[len(STREAM) :].strip(), str(value), row.field)
		return lambda value: self._linked_value(doctype, str(value), by)

	def _external_id(self, stream: str, document: str, field: str) -> str:
		found = external_ids(self.runtime, stream, [document]).get(document)
		if found is None:
			raise Unbound(stream, document, field)
		return found

	def _linked_value(self, doctype: str, document: str, field: str) -> Any:
		found = self.runtime.read_document(doctype, document)
		if not found:
			raise ValueError(_("{0} {1} does not exist", doctype, document))
		self._check_read(doctype, found, [field])
		return self._plain_value(found.get(field))


def _put(record: dict[str, Any], row: _Row, value: Any) -> None:
	"""Put a value where a row says; raises RenderError where another row has put one that holds nothing more."""
	for name in row.path[:-1]:
		record = record.setdefault(name, {})
		if not isinstance(record, dict):
			raise RenderError(_("{0}: another row has put a value at {1}", row.setting.source_path, name))
	record[row.path[-1]] = value


def _constant(text: str) -> Any:
	"""Return a default as JSON says it, and as text where it is none."""
	try:
		return json.loads(text)
	except (ValueError, RecursionError):
		return text


def mapping_problems(
	runtime: Runtime, stream: OutboundStream, fields: Fields, known: Callable[[str], bool]
) -> list[tuple[str, str]]:
	"""Return what is wrong with a stream's mapping and filters as (field, sentence). known: tells whether a stream exists."""
	problems = []
	try:
		Renderer(runtime, _without(stream), fields)
	except ValueError as error:
		problems.append(("out_filters", str(error)))
	seen: set[str] = set()
	for number, row in enumerate(stream.mapping, 1):
		for problem in _row_problems(runtime, stream, fields, row, known):
			problems.append(("mapping", _("row {0}: {1}", number, problem)))
		place = f"{row.field.partition('.')[0] if '.' in row.field else ''}:{row.source_path}"
		if place in seen:
			problems.append(
				("mapping", _("row {0}: {1}", number, _("{0!r} is filled twice", row.source_path)))
			)
		seen.add(place)
	return problems


def _without(stream: OutboundStream, *rows: FieldMapping) -> OutboundStream:
	return OutboundStream(**{**vars(stream), "mapping": rows})


def _row_problems(
	runtime: Runtime,
	stream: OutboundStream,
	fields: Fields,
	row: FieldMapping,
	known: Callable[[str], bool],
) -> Sequence[str]:
	table, dot, child = row.field.partition(".")
	field = fields.get(table)
	if not row.field and not row.default_value:
		return [_("has neither a field nor a default")]
	if field is None and row.field and (dot or row.field not in STANDARD):
		return [_("{0} has no field {1!r}", stream.target_doctype, row.field)]
	if dot and child not in field.fields and child not in STANDARD:
		return [_("table {0!r} of {1} has no field {2!r}", table, stream.target_doctype, child)]
	if (leaf := field.fields.get(child) if dot else field) and leaf.kind == "Password":
		return [_("{0!r} is a password, which is not sent", row.field)]
	if leaf and not dot and (leaf.kind in TABLES) != (row.conversion == "Rows"):
		return [_("{0!r}: the conversion Rows is for tables, and tables need it", row.field)]
	if row.conversion == "Link" and not row.argument.strip():
		return [
			_(
				"{0!r}: {1}",
				row.field,
				_("needs an argument: the linked DocType's field to send, or stream:NAME"),
			)
		]
	name = row.argument.strip()[len(STREAM) :].strip() if row.argument.strip().startswith(STREAM) else ""
	if row.conversion == "Link" and name and not known(name):
		return [_("{0!r}: stream {1!r} does not exist", row.field, name)]
	try:
		Renderer(runtime, _without(stream, row), fields)
	except (ValueError, TemplateError) as error:
		return [str(error)]
	return []
