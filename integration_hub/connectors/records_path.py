"""JMESPath expressions that lead to a list of records: through which names, what is there, and what they would drop."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, parsed
from integration_hub.lazy_messages import _

_NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_WILD = re.compile(rf"(?=.*\*)(?:{_NAME}|\*)(?:\.(?:{_NAME}|\*))*\.{_NAME}")
_FILTER = re.compile(r"(?P<list>[\w.@\"]*?)\[\?(?P<filter>.*)\]", re.DOTALL)
# Functions that give a list as long as theirs, or a list's place in the answer.
_KEEPING = ("map", "not_null", "reverse", "sort_by", "to_array", "values")
_DROPPING = ("projection", "filter_projection", "value_projection", "slice", "flatten")


@lru_cache(maxsize=256)
def wildcard_parts(path: str) -> tuple[str, ...]:
	"""Return the parts of a path between its stars: `data.*.items` → ("data", "items"); () for one without a star.

	Such a path leads to the records within each element of a list, or each value of an object. It drops nothing.
	"""
	if not _WILD.fullmatch(path):
		return ()
	return tuple(part.strip(".") for part in path.split("*"))


@lru_cache(maxsize=256)
def spine(path: str) -> tuple[str, ...]:
	"""Return the names that lead from an answer to its list, as far as the expression says so."""
	try:
		return tuple(_spine(parsed(path))) if path else ()
	except PathError:
		return ()


def is_there(path: str, answer: Any) -> bool:
	"""Tell whether a path of names and dots leads to something, if only to null; None on the way is null as well."""
	if not _NAMES.fullmatch(path):
		return False
	for name in path.split("."):
		if answer is None:
			return True
		if not isinstance(answer, Mapping) or name not in answer:
			return False
		answer = answer[name]
	return True


def list_problem(path: str) -> str | None:
	"""Return why a path that can be read may not lead to a list of records, None if it may.

	What drops elements would have the end of the list, and what is gone from it, judged by what is left.
	"""
	if wildcard_parts(path):
		return None
	dropping = _dropping(parsed(path)) if path else None
	if dropping is None:
		return None
	if found := split_filter(path):
		return _(
			"a filter drops records before it is known whether the list is complete; write {0} here, and {1} as Record Filter",
			repr(found[0]),
			repr(found[1]),
		)
	return _(
		"{0} may drop elements of the list, so its end could not be recognized. Name the list itself; "
		"for a part of each element write map(&part, list), for the values of an object values(object), "
		"and choose records by Record Filter",
		dropping,
	)


def split_filter(path: str) -> tuple[str, str] | None:
	"""Return the list and the filter of a path that is nothing else, None for others."""
	found = _FILTER.fullmatch(path.strip())
	if not found:
		return None
	for part in (found["list"] or "@", found["filter"]):
		try:
			if _dropping(parsed(part)) and part is not found["filter"]:
				return None
		except PathError:
			return None
	return found["list"], found["filter"].strip()


def _spine(node: Mapping[str, Any]) -> Iterator[str]:
	kind, children = node["type"], node["children"]
	if kind == "field":
		yield node["value"]
	elif kind == "subexpression":
		for child in children:
			yield from _spine(child)
			if child["type"] not in ("field", "subexpression"):
				return
	elif kind == "function_expression":
		yield from next((_spine(child) for child in children if child["type"] != "expref"), ())
	elif kind in ("index_expression", "pipe", "or_expression", *_DROPPING) and children:
		yield from _spine(children[0]) if isinstance(children[0], dict) else ()


def _dropping(node: Mapping[str, Any], within: bool = False) -> str | None:
	"""Return the part of an expression that drops elements, as a word; None if there is none.

	within: is it what a function gets, so that an element picked there becomes a list again?
	"""
	kind = node["type"]
	if kind in _DROPPING:
		return {"filter_projection": "[?…]", "value_projection": "*", "projection": _projection(node)}.get(
			kind, kind
		)
	if kind in ("expref", "comparator"):
		return None  # what becomes of each element; what is true or false
	if kind == "function_expression" and node["value"] not in _KEEPING:
		return f"{node['value']}()"
	if kind == "multi_select_list" or (within and kind == "index") or _is_picked(node):
		return _("picking elements")
	inside = within or kind == "function_expression"
	found = (_dropping(child, inside) for child in node["children"] if isinstance(child, dict))
	return next((word for word in found if word), None)


def _is_picked(node: Mapping[str, Any]) -> bool:
	"""Tell whether a pipe takes one element of what comes through it."""
	right = node["children"][1] if node["type"] == "pipe" else {"type": ""}
	return right["type"] == "index_expression" and right["children"][0]["type"] in ("identity", "current")


def _projection(node: Mapping[str, Any]) -> str:
	kinds = {child["type"] for child in node["children"][0]["children"] if isinstance(child, dict)}
	return "[:]" if "slice" in kinds else "[]" if node["children"][0]["type"] == "flatten" else "[*]"
