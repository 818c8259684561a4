"""Ids of records that are made of several values: `{^.id}-{id}`, a variant's with its product's."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from integration_hub.connectors.bounded_jmespath import Reader, reader
from integration_hub.connectors.composed_paths import composed_path


def id_reader(path: str, read: Callable[[str], Reader]) -> Reader:
	"""Return what finds a record's id: the value at a path, or a text with paths in braces.

	read: makes a reader of a JMESPath. A text of which one value is missing is no id; no two lists of values make the
	same one.
	"""
	composed = composed_path(path) if "{" in path else None
	if composed is None:
		return read(path)
	parts = [read(part) for part in composed.paths]

	def found(record: Any) -> str | None:
		values = [_text(part(record)) for part in parts]
		return composed.distinct_text(values) if all(values) else None

	return found


@lru_cache(100)
def kept_id_reader(path: str) -> Reader:
	"""Return what finds a record's id, for the few paths that settings name."""
	return id_reader(path, reader)


def _text(value: Any) -> str:
	"""Return a value as it stands in an id, "" if it cannot."""
	if isinstance(value, bool) or not isinstance(value, str | int | float):
		return ""
	if isinstance(value, float):
		value = int(value) if value.is_integer() else value if math.isfinite(value) else ""
	return str(value)
