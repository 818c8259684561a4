"""Bodies that hold several events: each element of a list is one, with what stands around it in reach as `^`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, path_problem, search
from integration_hub.lazy_messages import _
from integration_hub.sync.stream_slices import OUTER

MOST_EVENTS = 10_000  # events of one body
_TOKEN = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)|(\[\*?\])|(.)""", re.DOTALL)


class TooManyEvents(ValueError):
	"""A body holds more events than are taken apart."""


@dataclass(frozen=True)
class Item:
	"""An element of a list: its value, what stands around it (None for nothing), and why it is no event ("" if it is one)."""

	value: Any
	outer: dict[str, Any] | None = None
	problem: str = ""


@dataclass(frozen=True)
class SplitPath:
	"""A path of lists: the path to each list within an element of the one before, and that to an event in the last."""

	lists: tuple[str, ...]
	tail: str = ""

	@property
	def parts(self) -> tuple[str, ...]:
		"""Return all of its paths that are not empty."""
		return tuple(filter(None, (*self.lists, self.tail)))


@lru_cache(1000)
def split_path(text: str) -> SplitPath:
	"""Read `entry[].changes[]`, `[]`, `notificationItems[].NotificationRequestItem`; `events` is `events[]`."""
	pieces = [piece.strip().removeprefix(".").strip() for piece in _pieces(text)]
	return SplitPath(tuple(pieces[:-1]), pieces[-1]) if len(pieces) > 1 else SplitPath((pieces[0],))


def split_path_problem(text: str) -> str | None:
	"""Return why a path of lists cannot be used, None if it can."""
	if not text.strip():
		return None
	return next(filter(None, map(path_problem, split_path(text).parts)), None)


def _pieces(text: str) -> list[str]:
	"""Return what stands between the `[]` of a path; one within brackets or quotes is part of what is there."""
	pieces, depth = [""], 0
	for token in _TOKEN.finditer(text):
		if token[2] and not depth:
			pieces.append("")
			continue
		depth += (token[0] in "([{") - (token[0] in ")]}") if len(token[0]) == 1 else 0
		pieces[-1] += token[0]
	return pieces


def split(payload: Any, path: SplitPath) -> list[Item]:
	"""Return the events of a payload, none for empty lists; raises TooManyEvents.

	An object where a list should be is the one element. What is no event is an item with a problem: nothing is left out.
	"""
	items: list[Item] = []
	for item in _items(payload, None, path.lists, path.tail):
		items.append(item)
		if len(items) > MOST_EVENTS:
			raise TooManyEvents(str(_("The body holds more than {0} events.", MOST_EVENTS)))
	return items


def _items(value: Any, outer: dict[str, Any] | None, lists: Sequence[str], tail: str) -> Iterator[Item]:
	if not lists:
		yield _event(value, outer, tail)
		return
	found = _at(value, lists[0])
	if not isinstance(found.value, list | dict):
		said = found.problem or _("The body has no list at {0}.", lists[0] or "[]")
		yield Item(value, outer, str(said))
		return
	around = _around(value, found.value, lists[0], outer)
	for element in found.value if isinstance(found.value, list) else [found.value]:
		yield from _items(element, around, lists[1:], tail)


def _event(value: Any, outer: dict[str, Any] | None, tail: str) -> Item:
	found = _at(value, tail)
	if found.problem:
		return Item(value, outer, found.problem)
	if isinstance(found.value, dict):
		return Item(found.value, outer)
	said = _("The list has something other than an object at {0}.", tail or "[]")
	return Item(value, outer, str(said))


def _at(value: Any, path: str) -> Item:
	try:
		return Item(search(path, value) if path else value)
	except PathError as error:
		return Item(None, problem=f"events_path {path[:80]!r}: {error}")


def _around(value: Any, found: Any, path: str, outer: dict[str, Any] | None) -> dict[str, Any] | None:
	"""Return what stands around the elements of a list: the object without the list, and what is around that."""
	taken = {id(element) for element in found} if isinstance(found, list) else set()
	around: dict[str, Any] = {}
	if isinstance(value, dict) and value is not found and id(value) not in taken:
		around = _without(value, found, taken, path.count(".") + 1)
	return {**around, OUTER: outer} if outer is not None else around or None


def _without(value: Mapping[str, Any], found: Any, taken: set[int], depth: int) -> dict[str, Any]:
	"""Return an object without the list, or the lists that it was put together of. taken: the elements, by identity."""
	left = {name: inner for name, inner in value.items() if not _is_taken(inner, found, taken)}
	if len(left) == len(value) and depth > 1:
		return {
			name: _without(inner, found, taken, depth - 1) if isinstance(inner, dict) else inner
			for name, inner in left.items()
		}
	return left


def _is_taken(inner: Any, found: Any, taken: set[int]) -> bool:
	if inner is found or not (isinstance(inner, list) and inner):
		return inner is found
	return all(isinstance(element, dict | list) and id(element) in taken for element in inner)
