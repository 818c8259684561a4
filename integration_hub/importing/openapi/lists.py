"""The list that an operation answers: where its records are, what tells them apart, how its pages follow.

A proposal: an OpenAPI document says neither, so names are read as most APIs mean them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from integration_hub.importing.manifest.jmespath_text import path_of
from integration_hub.importing.openapi.document import Document, Operation

_RECORDS = ("data", "items", "results", "records", "value", "entries", "list", "rows", "content", "values")
_IDS = ("id", "uuid", "guid", "_id", "key", "code", "sku", "number", "name")
_CHANGED = (
	"updated_at",
	"updatedat",
	"updated",
	"modified_at",
	"modifiedat",
	"modified",
	"last_modified",
	"lastmodified",
)
_SINCE = (
	"updated_since",
	"modified_since",
	"updated_after",
	"since",
	"updated_at_min",
	"modified_after",
	"updated_from",
)
_PAGES = ("page", "page_number", "pagenumber", "pageno", "p")
_OFFSETS = ("offset", "skip", "start", "startat", "start_at")
_CURSORS = (
	"cursor",
	"after",
	"starting_after",
	"page_token",
	"pagetoken",
	"next_cursor",
	"continuation_token",
	"next_token",
)
_SIZES = (
	"limit",
	"per_page",
	"perpage",
	"page_size",
	"pagesize",
	"size",
	"count",
	"max_results",
	"maxresults",
	"top",
	"first",
)
_NEXT_CURSORS = (
	"next_cursor",
	"nextcursor",
	"next_page_token",
	"nextpagetoken",
	"next_token",
	"cursor",
	"after",
)
_NEXT_LINKS = ("next", "next_url", "nexturl", "next_page_url", "@odata.nextlink", "nextlink", "next_link")
_MORE = ("has_more", "hasmore", "more")
_DEEPEST = 3


@dataclass(frozen=True)
class Found:
	"""The list of an operation: the path of its records, and the properties of one."""

	records_path: str
	properties: Mapping[str, Any]


def list_of(document: Document, operation: Operation) -> Found | None:
	"""Return where an operation answers a list of objects, None where it does not."""
	for keys, schema in sorted(
		_arrays(document, operation.answer, ()), key=lambda pair: _rank(pair[0], operation)
	):
		item = document.schema(schema.get("items"))
		if _is_object(item):
			return Found("" if not keys else path_of(keys), _properties(item))
	return None


def _arrays(
	document: Document, schema: Mapping[str, Any], keys: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
	if schema.get("type") == "array" or "items" in schema:
		yield keys, schema
	elif len(keys) < _DEEPEST:
		for name, part in _properties(schema).items():
			yield from _arrays(document, document.schema(part), (*keys, str(name)))


def _rank(keys: tuple[str, ...], operation: Operation) -> tuple[int, int]:
	"""Return how likely a list is the one that is meant: nearer first, then by its name."""
	name = keys[-1].lower() if keys else ""
	segment = operation.path.rstrip("/").rpartition("/")[2].lower()
	known = 0 if name == segment else 1 + _RECORDS.index(name) if name in _RECORDS else 50
	return len(keys), known


def _is_object(schema: Mapping[str, Any]) -> bool:
	return schema.get("type") == "object" or "properties" in schema


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
	found = schema.get("properties")
	return found if isinstance(found, Mapping) else {}


def id_of(found: Found, path: str) -> str:
	"""Return the path of the property that tells records apart, "" where none is likely to."""
	one = re.sub(r"(ies|es|s)$", "", path.rstrip("/").rpartition("/")[2].lower())
	wanted = (*_IDS[:4], f"{one}_id", f"{one}id", *_IDS[4:])
	name = _named(found.properties, wanted)
	return path_of([name]) if name else ""


def _named(names: Any, wanted: tuple[str, ...]) -> str:
	"""Return the first of the names wanted that is there, as it is written there."""
	by_lower = {str(name).lower(): str(name) for name in names}
	return next((by_lower[one] for one in wanted if one in by_lower), "")


def changes(found: Found, operation: Operation) -> dict[str, Any]:
	"""Return the settings of a stream that asks for changes alone, {} where the operation takes no such time."""
	changed = _named(found.properties, _CHANGED)
	since = _named([one.get("name") for one in operation.parameter("query")], _SINCE)
	if not (changed and since):
		return {}
	return {"mode": "Incremental", "updated_at_path": path_of([changed]), "changed_since_param": since}


def pagination(document: Document, operation: Operation) -> dict[str, Any]:
	"""Return the settings of the pages: by a link, a cursor, a number or an offset, whichever the document shows."""
	query = {str(one.get("name")): one for one in operation.parameter("query")}
	size = _named(query, _SIZES)
	sizes = {"page_size_param": size, **_largest(document, query.get(size, {}))}
	answer = dict(_leaves(document, operation.answer, ()))
	link = _leaf(answer, _NEXT_LINKS)
	if "link" in [one.lower() for one in operation.headers]:
		return {"pagination": "Link Header", **sizes}
	cursor, following = _named(query, _CURSORS), _leaf(answer, _NEXT_CURSORS)
	if cursor and following:
		more = _leaf(answer, _MORE)
		return {
			"pagination": "Cursor",
			"page_param": cursor,
			"cursor_path": following,
			"more_path": more,
			**sizes,
		}
	if link:
		return {"pagination": "Next Link", "cursor_path": link, **sizes}
	for kind, names in (("Page Number", _PAGES), ("Offset", _OFFSETS)):
		if param := _named(query, names):
			return {"pagination": kind, "page_param": param, **_first(document, kind, query[param]), **sizes}
	return {"pagination": "None", **sizes}


def _leaves(
	document: Document, schema: Mapping[str, Any], keys: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
	for name, part in _properties(schema).items():
		below = document.schema(part)
		if _is_object(below) and len(keys) < _DEEPEST:
			yield from _leaves(document, below, (*keys, str(name)))
		elif below.get("type") != "array":
			yield (*keys, str(name)), below


def _leaf(answer: Mapping[tuple[str, ...], Any], wanted: tuple[str, ...]) -> str:
	"""Return the path of a part of the answer, by its last name; `href` counts as what it is within."""
	for name in wanted:
		for keys in sorted(answer, key=len):
			last = keys[-2] if keys[-1].lower() == "href" and len(keys) > 1 else keys[-1]
			if last.lower() == name:
				return path_of(keys)
	return ""


def _schema_of(document: Document, parameter: Mapping[str, Any]) -> Mapping[str, Any]:
	return parameter if document.is_v2 else document.schema(parameter.get("schema"))


def _largest(document: Document, parameter: Mapping[str, Any]) -> dict[str, int]:
	"""Return the largest page that a parameter takes, of at most a thousand."""
	schema = _schema_of(document, parameter) if parameter else {}
	largest = schema.get("maximum") or schema.get("default")
	return {"page_size": min(largest, 1000)} if isinstance(largest, int) and largest > 0 else {}


def _first(document: Document, kind: str, parameter: Mapping[str, Any]) -> dict[str, int]:
	schema = _schema_of(document, parameter)
	is_zero = kind == "Page Number" and 0 in (schema.get("default"), schema.get("minimum"))
	return {"first_page": 0} if is_zero else {}
