"""Record selectors and transformations, as the records path, the filter, the id and the mapping of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from integration_hub.importing.field_names import field_name
from integration_hub.importing.manifest.components import Component
from integration_hub.importing.manifest.conversion import Conversion
from integration_hub.importing.manifest.draft import Draft
from integration_hub.importing.manifest.expressions import Unconverted, evaluated, text_of
from integration_hub.importing.manifest.jmespath_text import jmespath_of, path_of, step
from integration_hub.importing.manifest.secret_marks import secret_names
from integration_hub.lazy_messages import _

_MOST_FIELDS = 150  # a table of Frappe's takes no more columns of text
_ALL = "record"
_SAME = ("SchemaNormalization", "KeysToLower")


def select(conversion: Conversion, retriever: Component, draft: Draft) -> None:
	"""Write where the records are, and which of them count; complaints for what has no equal."""
	selector = retriever.child("record_selector")
	if selector is None:
		retriever.complain(_("is empty"), "record_selector")
		return
	extractor = selector.child("extractor")
	if extractor is None or extractor.type != "DpathExtractor":
		_refused(selector, extractor, "extractor")
		return
	extractor.complain_of("record_expander")
	keys = [
		conversion.constant_of(extractor, key, "", "field_path") for key in extractor.get("field_path") or []
	]
	keys = [key for key in keys if key != ""]
	first, second = _split(keys, extractor)
	draft.settings["records_path"] = _records_path(first)
	if second is not None:
		draft.settings["flatten_path"] = f"{_records_path(second) or '@'} || `[]`"
	draft.settings["records_optional"] = True


def _split(keys: list[Any], extractor: Component) -> tuple[list[Any], list[Any] | None]:
	"""Return the keys to the records; where there are two `*`, those to the objects around them, and from there on."""
	stars = [number for number, key in enumerate(keys) if key == "*"]
	if len(stars) < 2:
		return keys, None
	if len(stars) > 2:
		extractor.complain(_("`*` three times in a path has no equal"), "field_path")
	return keys[: stars[0] + 1], keys[stars[0] + 1 :]


def _records_path(keys: list[Any]) -> str:
	"""Return the path of the records; `*` stands for the elements of a list, or the values of an object."""
	if "*" not in keys:
		return "" if not keys else path_of(keys)
	place = keys.index("*")
	above, below = path_of(keys[:place]), keys[place + 1 :]
	each = f"type({above}) == 'object' && values({above}) || {above}"
	return f"map(&{path_of(below)}, {each})" if below else f"({each})"


def _refused(one: Component, found: Component | None, field: str) -> None:
	if found is None:
		one.complain(_("is empty"), field)
	elif "class_name" in found.own:
		found.complain(_("carries code of its own ({0})", str(found.own["class_name"])[:80]))
	else:
		found.complain(_("{0} has no equal", found.type))


def choose(conversion: Conversion, retriever: Component, draft: Draft) -> None:
	"""Write the record filter, once the slice is known."""
	selector = retriever.child("record_selector")
	found = selector.child("record_filter") if selector else None
	if found is None:
		return
	if found.type != "RecordFilter":
		_refused(found, found, "")
		return
	value = conversion.value(found, found.get("condition") or "", "condition", "")
	if value == "" or value is True:
		return
	try:
		roots = {**record_roots(draft), "slice": partial(_slice_or_start, draft)}
		draft.settings["record_filter"] = jmespath_of(value, roots)
	except Unconverted as error:
		found.complain(str(error), "condition")


def _slice_or_start(draft: Draft, keys: tuple[Any, ...]) -> str:
	"""Return where a record has a value of its slice; of a list without windows, the first one's beginning.

	A filter by that lets through what is older than the watermark, which is written already.
	"""
	try:
		return draft.path_of_slice(keys)
	except Unconverted:
		if keys in draft.starts:
			return draft.starts[keys]
		raise


def record_roots(draft: Draft) -> dict[str, Any]:
	"""Return what names stand for in expressions over a record."""

	def record(keys: tuple[Any, ...]) -> str:
		if keys and str(keys[0]) in draft.virtual:
			path = draft.virtual[str(keys[0])]
			keys = keys[1:]
		else:
			path = "@"
		for key in keys:
			path = step(path, key)
		return path

	return {"record": record, "slice": draft.path_of_slice}


def transform(conversion: Conversion, stream: Component, retriever: Component, draft: Draft) -> None:
	"""Note what transformations add to the records and take away; complaints for what has no equal."""
	selector = retriever.child("record_selector")
	several = [
		*(selector.children("transformations") if selector else ()),
		*stream.children("transformations"),
	]
	for one in several:
		if one.type == "AddFields":
			_add_fields(conversion, one, draft)
		elif one.type == "RemoveFields":
			_remove_fields(conversion, one, draft)
		elif one.type not in _SAME:
			_refused(one, one, "")


def _add_fields(conversion: Conversion, one: Component, draft: Draft) -> None:
	if one.own.get("condition"):
		one.complain(_("has no equal"), "condition")
	for field in one.children("fields"):
		keys = [text_of(conversion.constant_of(field, key, "", "path")) for key in field.get("path") or []]
		if not keys:
			field.complain(_("is empty"), "path")
			continue
		path = _added(conversion, field, draft)
		if path is not None:
			draft.virtual["_".join(keys) if len(keys) > 1 else keys[0]] = path


def _added(conversion: Conversion, field: Component, draft: Draft) -> str | None:
	"""Return the JMESPath of an added field's value, None after a complaint."""
	try:
		found = evaluated(field.get("value"), conversion.scope(field))
		if secret_names(found):
			raise Unconverted(_("a secret stands in it, which only credentials may hold"))
		return _cast(field, jmespath_of(found, record_roots(draft)))
	except Unconverted as error:
		field.complain(str(error), "value")
		return None


def _cast(field: Component, path: str) -> str:
	kind = text_of(field.own.get("value_type"))
	if kind == "string" and not path.startswith("'"):
		return f"to_string({path})"
	return f"to_number({path})" if kind in ("integer", "number") else path


def _remove_fields(conversion: Conversion, one: Component, draft: Draft) -> None:
	if one.own.get("condition"):
		one.complain(_("has no equal"), "condition")
	for pointer in one.get("field_pointers") or ():
		keys = [text_of(key) for key in pointer] if isinstance(pointer, list) else [text_of(pointer)]
		if len(keys) == 1:
			draft.removed.add(keys[0])
			draft.virtual.pop(keys[0], None)
		else:
			draft.removed_within.setdefault(keys[0], []).append(keys[1:])


def identify(conversion: Conversion, stream: Component, draft: Draft, schema: Mapping[str, Any]) -> None:
	"""Write what tells records apart: the primary key, else all of a record's content."""
	keys = stream.get("primary_key") or []
	try:
		found = evaluated(keys, conversion.scope(stream)) if isinstance(keys, str) else keys
	except Unconverted as error:
		stream.complain(str(error), "primary_key")
		return
	several = [_flat(key) for key in (found if isinstance(found, list) else [found] if found else [])]
	paths = [
		draft.virtual.get(key[0], path_of(key)) if len(key) == 1 else path_of(key) for key in several if key
	]
	draft.settings["id_path"] = _id(paths)


def _flat(key: Any) -> list[str]:
	return [text_of(part) for part in key] if isinstance(key, list) else [text_of(key)] if key else []


def _id(paths: list[str]) -> str:
	if not paths:
		return "@"
	if len(paths) == 1:
		return paths[0]
	return f"join('|', [{', '.join(f'to_string({path})' for path in paths)}])"


def schema_of(conversion: Conversion, stream: Component) -> dict[str, Any]:
	"""Return the properties of a stream's inline schema, {} where it has none."""
	loader = stream.child("schema_loader")
	schema = loader.own.get("schema") if loader and loader.type == "InlineSchemaLoader" else None
	schema = conversion.manifest.resolved(schema) if schema else None
	properties = schema.get("properties") if isinstance(schema, Mapping) else None
	properties = conversion.manifest.resolved(properties) if properties else None
	return dict(properties) if isinstance(properties, Mapping) else {}


def map_fields(conversion: Conversion, draft: Draft, schema: Mapping[str, Any]) -> dict[str, str]:
	"""Write the mapping; return the fields of the table, and their fieldtypes."""
	table: dict[str, str] = {}
	mapping: dict[str, Any] = {}
	for name, path, kind in _fields(conversion, draft, schema):
		field = field_name(name, table)
		table[field], mapping[field] = kind, path
	if not schema or len(mapping) >= _MOST_FIELDS:
		table[_ALL], mapping[_ALL] = "JSON", "@"
	draft.settings["mapping"] = mapping
	return table


def _fields(
	conversion: Conversion, draft: Draft, schema: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
	"""Return name, path and fieldtype of each field that is mapped."""
	names = [
		name
		for name in {**dict.fromkeys(schema), **dict.fromkeys(draft.virtual)}
		if name not in draft.removed
	]
	if not schema:
		yield from _marks(draft)
	for name in names[: _MOST_FIELDS - 2]:
		one = conversion.manifest.resolved(schema.get(name, {}))
		path = draft.virtual.get(name) or step("@", name)
		yield str(name), _without(path, one, draft.removed_within.get(name, ())), fieldtype(one)


def _without(path: str, schema: Any, removed: Sequence[list[str]]) -> str:
	"""Return the path of an object without some of its parts, as far as its schema names the others."""
	properties = schema.get("properties") if isinstance(schema, Mapping) else None
	if not removed or not isinstance(properties, Mapping):
		return path
	parts = []
	for name in properties:
		below = [keys[1:] for keys in removed if keys[0] == name]
		if [] not in below:
			parts.append(f"{json.dumps(str(name))}: {_without(step('@', name), properties[name], below)}")
	return f"{path}.{{{', '.join(parts)}}}" if parts else path


def _marks(draft: Draft) -> Iterator[tuple[str, str, str]]:
	for name, setting in (("id", "id_path"), ("updated_at", "updated_at_path")):
		path = draft.settings.get(setting)
		if path and path != "@" and name not in draft.virtual:
			yield name, path, "Data" if name == "id" else "Small Text"


_FIELDTYPES = {
	"integer": "Long Int",
	"number": "Float",
	"boolean": "Check",
	"object": "JSON",
	"array": "JSON",
}


def fieldtype(schema: Any) -> str:
	"""Return the fieldtype for a property of a JSON schema; text where it may be several things."""
	kinds = schema.get("type") if isinstance(schema, Mapping) else None
	found = {str(kind) for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind and kind != "null"}
	if len(found) == 1:
		return _FIELDTYPES.get(found.pop(), "Small Text")
	return "JSON" if found & {"object", "array"} else "Small Text"
