"""Expressions over an answer or a record, written as JMESPath."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.importing.manifest.expressions import Expr, Unconverted, Undefined
from integration_hub.importing.manifest.secret_marks import secret_names
from integration_hub.lazy_messages import _

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMPARATORS = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}


def step(path: str, key: Any) -> str:
	"""Return a path that goes on to a key, or to the element of a number."""
	if isinstance(key, int) and not isinstance(key, bool):
		return f"{path}[{key}]"
	name = str(key) if _BARE.fullmatch(str(key)) else json.dumps(str(key), ensure_ascii=False)
	return name if path in ("", "@") else f"{path}.{name}"


def path_of(keys: Sequence[Any]) -> str:
	"""Return the path through keys; `@` for none."""
	path = "@"
	for key in keys:
		path = step(path, key)
	return path


def literal(value: Any) -> str:
	"""Return a constant as JMESPath. Raises Unconverted for a secret."""
	if secret_names(value):
		raise Unconverted(_("a secret stands in it"))
	if isinstance(value, str):
		return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
	if isinstance(value, Undefined):
		return "`null`"
	try:
		return "`" + json.dumps(value).replace("`", "\\`") + "`"
	except (TypeError, ValueError):
		raise Unconverted(_("{0} is no JSON", str(value)[:80])) from None


def jmespath_of(found: Any, roots: Mapping[str, str | Callable[[tuple[Any, ...]], str]]) -> str:
	"""Return an expression as JMESPath.

	roots: what names stand for: a path, or a function of the keys that follow. Raises Unconverted.
	"""
	text = _Writer(roots).write(found)
	if problem := path_problem(text):
		raise Unconverted(str(problem))
	return text


def keys_of(found: Any) -> tuple[str, tuple[Any, ...]] | None:
	"""Return the name that an expression begins with, and the keys that follow; None for another kind."""
	keys: list[Any] = []
	while isinstance(found, Expr) and found.op == "get":
		keys.insert(0, found.args[1])
		found = found.args[0]
	if isinstance(found, Expr) and found.op == "name" and not any(isinstance(key, Expr) for key in keys):
		return found.args[0], tuple(keys)
	return None


class _Writer:
	"""Writes one expression. A method for each op."""

	def __init__(self, roots: Mapping[str, Any]) -> None:
		self.roots = roots

	def write(self, found: Any) -> str:
		if not isinstance(found, Expr):
			return literal(found)
		if place := keys_of(found):
			return self._place(*place)
		method = {
			"not": self._not,
			"and": lambda left, right: f"({self.write(left)} && {self.write(right)})",
			"or": lambda left, right: f"({self.write(left)} || {self.write(right)})",
			"default": lambda base, other: f"({self.write(base)} || {self.write(other)})",
			"get": lambda base, key: step(self.write(base), key),
			"compare": self._compare,
			"filter": self._filter,
			"test": self._test,
			"cond": self._cond,
			"text": self._text,
			"call": self._call,
			"method": self._method,
			"+": lambda left, right: f"sum([{self._number(left)}, {self._number(right)}])",
			"-": self._minus,
			"*": lambda left, right: f"multiply({self.write(left)}, {self.write(right)})",
			"/": lambda left, right: f"divide({self.write(left)}, {self.write(right)})",
		}.get(found.op)
		if method is None:
			raise Unconverted(_("the operation {0} has no equal in JMESPath", found.op))
		return method(*found.args)

	def _place(self, name: str, keys: tuple[Any, ...]) -> str:
		root = self.roots.get(name)
		if root is None:
			raise Unconverted(_("{0} is not within reach here", name))
		if callable(root):
			return root(keys)
		path = root
		for key in keys:
			path = step(path, key)
		return path

	def _not(self, value: Any) -> str:
		return f"!({self.write(value)})"

	def _compare(self, kind: str, left: Any, right: Any) -> str:
		if kind in ("in", "notin"):
			text = self._contains(left, right)
			return f"!{text}" if kind == "notin" else text
		if right in ({}, [], "") and kind in ("eq", "ne"):
			return self._not(left) if kind == "eq" else self.write(left)
		return f"({self.write(left)} {_COMPARATORS[kind]} {self.write(right)})"

	def _contains(self, item: Any, place: Any) -> str:
		if not isinstance(place, Expr):
			return f"contains({literal(place)}, {self.write(item)})"
		path = self.write(place)
		if self._is_object(place):
			return f"contains(keys({path} || `{{}}`), {self.write(item)})"
		return f"contains({path} || `[]`, {self.write(item)})"

	@staticmethod
	def _is_object(place: Expr) -> bool:
		"""Tell whether a place is surely an object: the answer, or the record, itself."""
		found = keys_of(place)
		return bool(found) and not found[1]

	def _filter(self, base: Any, name: str, given: tuple[Any, ...]) -> str:
		if name in ("length", "count"):
			return f"length({self.write(base)} || `[]`)"
		if name in ("string", "int", "float"):
			return f"{'to_string' if name == 'string' else 'to_number'}({self.write(base)})"
		if name == "join":
			return f"join({literal(str(given[0]) if given else '')}, {self.write(base)})"
		if name in ("first", "last"):
			return f"{self.write(base)}[{0 if name == 'first' else -1}]"
		if name in ("lower", "upper", "trim", "replace"):
			return self._of_texts(name, base, *given)
		if name == "regex_search" and given:
			return self._of_texts("extract", base, given[0])
		if name == "tojson":
			return f"to_string({self.write(base)})"
		raise Unconverted(_("the filter {0} has no equal in JMESPath", name))

	def _test(self, base: Any, name: str) -> str:
		if name in ("none", "undefined"):
			return f"({self.write(base)} == `null`)"
		if name == "defined":
			return f"({self.write(base)} != `null`)"
		if name in ("true", "false"):
			return f"({self.write(base)} == `{name}`)"
		kinds = {"string": "string", "number": "number", "mapping": "object", "sequence": "array"}
		if name in kinds:
			return f"(type({self.write(base)}) == '{kinds[name]}')"
		raise Unconverted(_("the test {0} has no equal in JMESPath", name))

	def _cond(self, test: Any, then: Any, other: Any) -> str:
		return f"if({self.write(test)}, {self.write(then)}, {self.write(other)})"

	def _text(self, *parts: Any) -> str:
		written = ", ".join(
			f"not_null({self.write(part)}, '')" if isinstance(part, Expr) else literal(part) for part in parts
		)
		return f"concat({written})"

	def _of_texts(self, name: str, *given: Any) -> str:
		return f"{name}({', '.join(self.write(one) for one in given)})"

	def _call(self, name: str, given: tuple[Any, ...]) -> str:
		raise Unconverted(_("the function {0}() has no equal in JMESPath", name))

	def _method(self, base: Any, name: str, given: tuple[Any, ...]) -> str:
		if name == "startswith":
			return f"starts_with({self.write(base)}, {self.write(given[0])})"
		if name == "endswith":
			return f"ends_with({self.write(base)}, {self.write(given[0])})"
		if name in ("lower", "upper", "replace", "split"):
			return self._of_texts(name, base, *given)
		if name == "strip" and not given:
			return self._of_texts("trim", base)
		if name in ("keys", "values"):
			return f"{name}({self.write(base)})"
		raise Unconverted(_("the method {0}() has no equal in JMESPath", name))

	def _minus(self, left: Any, right: Any) -> str:
		if isinstance(right, Expr):
			return f"subtract({self.write(left)}, {self.write(right)})"
		if not isinstance(right, int | float):
			raise Unconverted(_("a difference has no equal in JMESPath"))
		return f"sum([{self._number(left)}, {literal(-right)}])"

	def _number(self, value: Any) -> str:
		return f"to_number({self.write(value)})" if isinstance(value, Expr) else literal(value)
