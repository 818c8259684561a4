"""Paths by which settings name a value: a JMESPath, or a text with JMESPaths in braces, as `{^.id}-{status}`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.lazy_messages import _

_PLACE = re.compile(r"\{([^{}]+)\}")

_KEYED = re.compile(r"""\s*(?:\w+|"[^"]*")\s*:""")  # `{id: a}` is JMESPath's own


@dataclass(frozen=True)
class ComposedPath:
	"""A text with paths in it: `literals` stand before, between and behind the `paths`."""

	literals: tuple[str, ...]
	paths: tuple[str, ...]

	def text(self, values: list[str]) -> str:
		"""Return the text with values; a missing one ("") takes the literal before it along."""
		found = ""
		for number, value in enumerate(values):
			before = self.literals[number] if found or not number else ""
			found += before + value if value else ""
		return found + self.literals[-1] if values[-1] else found

	def distinct_text(self, values: list[str]) -> str:
		"""Return the text with values; no two different lists of values make the same one.

		In a value, the character that begins the literal behind it has a backslash before it.
		"""
		inner = [_escaped(*pair) for pair in zip(values[:-1], self.literals[1:-1], strict=True)]
		return self.text([*inner, values[-1]])


@lru_cache(1000)
def composed_path(path: str) -> ComposedPath | None:
	"""Return the parts of a text with paths in braces; None for a JMESPath, and for what is neither."""
	pieces = _PLACE.split(path)
	if len(pieces) < 3 or path_problem(path) is None or composed_path_problem(path):
		return None
	return ComposedPath(tuple(pieces[::2]), tuple(pieces[1::2]))


def composed_path_problem(path: str) -> str | None:
	"""Return why a text is neither a JMESPath nor one with JMESPaths in braces, None if it is one of them."""
	problem = path_problem(path)
	pieces = _PLACE.split(path) if problem and isinstance(path, str) else []
	is_composed = len(pieces) > 2 and not any(_KEYED.match(part) for part in pieces[1::2])
	if not is_composed or any(brace in literal for literal in pieces[::2] for brace in "{}"):
		return problem
	if not all(pieces[2:-1:2]):
		return _("{0!r} needs text between two paths, so that it is known where one ends", path)
	return next(filter(None, map(path_problem, pieces[1::2])), None)


def _escaped(value: str, literal: str) -> str:
	escaped = value.replace("\\", "\\\\")
	return escaped if literal[0] == "\\" else escaped.replace(literal[0], f"\\{literal[0]}")
