"""Records within records: one of the answer becomes several, each with the one around it in reach (`^.title`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, search
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.pages import Page
from integration_hub.lazy_messages import _
from integration_hub.sync.stream_slices import OUTER

_NAMES = re.compile(r"[A-Za-z_]\w*(?:(?:\[\])?\.[A-Za-z_]\w*)*", re.ASCII)


def flattened_page(page: Page, path: str) -> Page:
	"""Return a page with the records within its records. Raises MalformedAnswer."""
	return replace(page, records=list(flattened(page.records, path))) if path else page


def flattened(records: Iterable[Mapping[str, Any]], path: str) -> Iterator[dict[str, Any]]:
	"""Return the objects that stand in lists at a path of each record, with the record at `^`.

	A record with nothing there holds none. An object instead of a list, keyed by its records' names as currency rates
	are, gives one record for each key, which is at `key`; where a key has a list of objects, one for each of them.
	Lists within lists, as `variants[].prices[]`, have the variant at `^`, and the record at `^.^`. Raises MalformedAnswer
	for anything else.
	"""
	for level in _levels(path):
		records = _flattened(records, level)
	yield from records  # type: ignore[misc]


def _levels(path: str) -> list[str]:
	"""Return the paths of lists within lists, one for each level; a path that is more than names is one of its own."""
	plain = path.removesuffix("[]")
	return plain.split("[].") if _NAMES.fullmatch(plain) else [path]


def _flattened(records: Iterable[Mapping[str, Any]], path: str) -> Iterator[dict[str, Any]]:
	for record in records:
		for item in _items(record, path):
			if not isinstance(item, Mapping):
				raise MalformedAnswer(_("flatten_path {0}: a record is not an object.", path))
			yield {**item, OUTER: record}


def _keyed(key: str, value: Any) -> Iterator[dict[str, Any]]:
	"""Return the records that stand at a key of an object: one, or those of a list of objects."""
	is_list = isinstance(value, list) and all(isinstance(item, Mapping) for item in value)
	for one in value if is_list else [value]:
		yield {**one, "key": key} if isinstance(one, Mapping) else {"key": key, "value": one}


def _items(record: Mapping[str, Any], path: str) -> Iterable[Any]:
	try:
		found = search(path, record)
	except PathError as error:
		raise MalformedAnswer(_("flatten_path {0}: {1}.", path, str(error))) from None
	if found is None:
		return ()
	if isinstance(found, Mapping):
		return (item for key, value in found.items() for item in _keyed(key, value))
	if not isinstance(found, list):
		raise MalformedAnswer(_("flatten_path {0}: no list is there.", path))
	return found
