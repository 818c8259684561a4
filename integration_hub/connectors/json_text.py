"""JSON as it came: no number loses a digit, and none is too large to be read.

Python's own reader turns `99999999999999.99` into the nearest double, and refuses an integer of more than 4,300
digits together with the whole answer, though one number is one record's concern.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any
from uuid import uuid4

DEEPEST = 500
_NESTS = frozenset({dict, list})
_MARK = uuid4().hex  # stands before the digits of an ExactFloat while JSON is written
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


class ExactFloat(float):
	"""A JSON number that a double spells otherwise than the source did; its `str` has the source's digits."""

	__slots__ = ("text",)
	text: str

	def __repr__(self) -> str:
		return self.text

	__str__ = __repr__


def read_json(text: str | bytes) -> Any:
	"""Return the value that JSON text stands for.

	Raises ValueError where it is none, RecursionError where it is nested more deeply than DEEPEST.

	NaN and Infinity, which RFC 8259 does not have and some servers write, become floats: a value of them is refused
	where it is stored, by its field. An integer of more digits than Python converts stays text.
	"""
	try:
		return shallow(json.loads(text, parse_float=exact_float))
	except (json.JSONDecodeError, UnicodeDecodeError):
		raise
	except ValueError:
		return shallow(json.loads(text, parse_float=exact_float, parse_int=_read_int))


def shallow(value: Any) -> Any:
	"""Return what was read of JSON; raises RecursionError where it is nested more deeply than DEEPEST."""
	level = [value] if _READS_DEEPLY and type(value) in _NESTS else []
	for _ in range(DEEPEST + 1):
		if not level:
			return value
		within: list = []
		for outer in level:
			inner = outer.values() if type(outer) is dict else outer
			within += [each for each in inner if type(each) in _NESTS]
		level = within
	raise RecursionError(f"JSON nested more deeply than {DEEPEST} levels")


def _reads_deeply() -> bool:
	"""Tell whether Python's reader goes on where code that goes through what it read would not.

	Up to 3.11 it keeps to the limit of calls; later ones go as far as the machine's stack allows.
	"""
	depth = sys.getrecursionlimit() * 2
	try:
		json.loads("[" * depth + "]" * depth)
	except RecursionError:
		return False
	return True


_READS_DEEPLY = _reads_deeply()


def write_json(value: Any, **options: Any) -> str:
	"""Return a value as JSON text, with the digits that `read_json` has met.

	options: of json.dumps. Raises ValueError for NaN and Infinity, unless `allow_nan` is given.
	"""
	text = json.dumps(_marked(value), **{"ensure_ascii": False, "allow_nan": False, **options})
	return _MARKED.sub(r"\1", text)


def exact_float(text: str) -> float:
	"""Return the number that text of one stands for, with its digits."""
	number = float(text)
	if repr(number) == text:
		return number
	exact = ExactFloat(number)
	exact.text = text
	return exact


def _read_int(text: str) -> int | str:
	try:
		return int(text)
	except ValueError:
		return text


def _marked(value: Any) -> Any:
	if isinstance(value, ExactFloat):
		return f"{_MARK}{value.text}"
	if isinstance(value, dict):
		return {key: _marked(inner) for key, inner in value.items()}
	return [_marked(inner) for inner in value] if isinstance(value, list) else value
