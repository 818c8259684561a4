"""The fields of a document that a stream reads to send it: the integration's user has to be allowed to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, parsed
from integration_hub.connectors.placeholders import Template, placeholders_in, read_tree
from integration_hub.outbound.config import OutboundStream
from integration_hub.outbound.filters import read_filters
from integration_hub.stores.fields import Fields

WHOLE = ""  # a placeholder that stands for the document, and not for a field of it


def fields_read(stream: OutboundStream, fields: Fields) -> tuple[str, ...]:
	"""Return the fields that a stream sends or decides by, those of child tables as `table.field`.

	A setting that cannot be read names none: nothing is sent by it.
	"""
	named = {*(row.field for row in stream.mapping), *_filtered(stream, fields)}
	places, asked = {*_of_defaults(stream), *_of_requests(stream)}, {*_asked(stream)}
	if not stream.mapping or WHOLE in places | asked:
		return tuple(_all(fields))
	return tuple(
		path
		for path in _all(fields)
		if path in named or path.partition(".")[0] in places or path.rpartition(".")[2] in asked
	)


def _all(fields: Fields) -> Iterator[str]:
	for name, field in fields.items():
		if field.kind != "Password":
			yield name
			yield from (f"{name}.{child}" for child in field.fields)


def _of_defaults(stream: OutboundStream) -> Iterator[str]:
	"""Return the fields that the placeholders of constants name, with `doc.` or without."""
	for name in _placeholders(row.default_value for row in stream.mapping if not row.field):
		yield _root(name) if _is_document(name) else name.partition(".")[0]


def _of_requests(stream: OutboundStream) -> Iterator[str]:
	"""Return the fields that the placeholders of requests name."""
	texts = (*stream.paths.values(), stream.lookup_path, stream.event_type, stream.headers)
	names = (*_placeholders(texts), *_in_tree(stream.send_body))
	yield from (_root(name) for name in names if _is_document(name))


def _is_document(name: str) -> bool:
	return name.partition(".")[0] == "doc"


def _root(name: str) -> str:
	return name.removeprefix("doc").lstrip(".").partition(".")[0]


def _placeholders(texts: Iterable[str]) -> Iterator[str]:
	for text in texts:
		with suppress(ValueError):
			yield from (place.name for place in Template.read(text or "").placeholders)


def _in_tree(text: str) -> Iterator[str]:
	with suppress(ValueError, RecursionError):
		yield from (place.name for place in placeholders_in(read_tree(json.loads(text or "null"))))


def _filtered(stream: OutboundStream, fields: Fields) -> Iterator[str]:
	with suppress(ValueError):
		for one in read_filters(stream.out_filters):
			tables = [name for name, field in fields.items() if field.fields and field.options == one.doctype]
			yield from (f"{table}.{one.field}" for table in tables) if tables else (one.field,)


def _asked(stream: OutboundStream) -> Iterator[str]:
	"""Return the fields that the condition names, in whichever table."""
	if stream.out_condition:
		with suppress(PathError):
			yield from _names(parsed(stream.out_condition))


def _names(node: Mapping[str, Any]) -> Iterator[str]:
	kind, children = node["type"], node.get("children") or ()
	if kind == "field":
		yield node["value"]
	if kind in ("current", "value_projection"):  # `@` may be the document, and `*` is each of its fields
		yield WHOLE
	for child in children:
		if isinstance(child, Mapping) and not (kind == "subexpression" and child["type"] == "current"):
			yield from _names(child)
