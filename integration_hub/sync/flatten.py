"""Records within records: one of the answer becomes several, each with the one around it in reach (`^.title`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, search
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.pages import Page
from integration_hub.lazy_messages import _
from integration_hub.sync.stream_slices import OUTER


def flattened_page(page: Page, path: str) -> Page:
	"""Return a page with the records within its records. Raises MalformedAnswer."""
	return replace(page, records=list(flattened(page.records, path))) if path else page


def flattened(records: Iterable[Mapping[str, Any]], path: str) -> Iterator[dict[str, Any]]:
	"""Return the objects that stand in lists at a path of each record, with the record at `^`.

	A record with nothing there holds none. An object instead of a list, keyed by its records' names as currency rates
	are, gives one record for each key, which is at `key`. Raises MalformedAnswer for anything else.
	"""
	for record in records:
		for item in _items(record, path):
			if not isinstance(item, Mapping):
				raise MalformedAnswer(_("flatten_path {0}: a record is not an object.", path))
			yield {**item, OUTER: record}


def _items(record: Mapping[str, Any], path: str) -> Iterable[Any]:
	try:
		found = search(path, record)
	except PathError as error:
		raise MalformedAnswer(_("flatten_path {0}: {1}.", path, str(error))) from None
	if found is None:
		return ()
	if isinstance(found, Mapping):
		return (
			{**value, "key": key} if isinstance(value, Mapping) else {"key": key, "value": value}
			for key, value in found.items()
		)
	if not isinstance(found, list):
		raise MalformedAnswer(_("flatten_path {0}: no list is there.", path))
	return found
