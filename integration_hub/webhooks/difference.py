"""The difference between two events that came under one id: a Conflict, and the one that was there before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from integration_hub.connectors.json_text import read_json
from integration_hub.stores import inbox
from integration_hub.stores.runtime import Runtime

MOST = 200  # differences that are shown
_LONGEST = 2_000_000  # characters of a payload that is taken apart
_SHOWN = 500  # characters of a value
_NOTHING = object()


@dataclass(frozen=True)
class Difference:
	"""A place in two payloads, as a path, and what stands there as JSON: "" where nothing does."""

	path: str
	first: str
	this: str


def difference(runtime: Runtime, name: str) -> tuple[str, list[Difference]]:
	"""Return the first event with the id and type of another one, and how their payloads differ, at most MOST places.

	("", []) where there is no other, or the body of one of the two is no longer kept.
	"""
	[row] = inbox.load(runtime, [name]) or [None]
	first = inbox.first_of(runtime, row) if row else None
	if not first or first["payload"] is None or row["payload"] is None:
		return "", []
	return first["name"], payload_differences(first["payload"], row["payload"])


def payload_differences(first: str, this: str) -> list[Difference]:
	"""Return the places in which two payloads differ."""
	if max(len(first), len(this)) > _LONGEST:
		return [Difference("", _cut(first), _cut(this))]
	try:
		return list(islice(_compared("", read_json(first), read_json(this)), MOST))
	except (ValueError, RecursionError):
		return [Difference("", _cut(first), _cut(this))]


def _compared(path: str, first: Any, this: Any) -> Iterator[Difference]:
	if isinstance(first, dict) and isinstance(this, dict):
		for key in dict.fromkeys([*first, *this]):
			place = f"{path}.{key}" if path else str(key)
			yield from _compared(place, first.get(key, _NOTHING), this.get(key, _NOTHING))
	elif isinstance(first, list) and isinstance(this, list):
		for number in range(max(len(first), len(this))):
			pair = (part[number] if number < len(part) else _NOTHING for part in (first, this))
			yield from _compared(f"{path}[{number}]", *pair)
	elif type(first) is not type(this) or first != this:
		yield Difference(path, _json(first), _json(this))


def _json(value: Any) -> str:
	return "" if value is _NOTHING else _cut(json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str) -> str:
	return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
