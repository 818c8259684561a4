"""JMESPath, bounded: what looks into data from outside costs no more than a multiple of that data.

Every expression of the settings goes through here. The language has no loops, but it multiplies:
`{a: @, b: @}`, piped into itself twenty times, is a million copies of what came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.visitor import Options, TreeInterpreter

from integration_hub.connectors.path_functions import LITERALS, PathFunctions, costs, literal_problem
from integration_hub.lazy_messages import _

Reader = Callable[[Any], Any]
Node = Mapping[str, Any]

_PLAIN = re.compile(r"(\^|[A-Za-z_][A-Za-z0-9_]*)(\.(\^|[A-Za-z_][A-Za-z0-9_]*))*")
# Ours are `^`, the record around one, and headers as they are spelled (`header.X-Topic`), which JMESPath would have in
# quotes. What is quoted stays as it is.
_OURS = re.compile(
	r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)|\^|(?<![\w.])header\.(\w+(?:-\w+)+)""",
	re.DOTALL | re.ASCII,
)
_LONGEST = 2000  # characters of an expression
_DEEPEST = 60  # levels of one: Python's own stack takes some hundred
_MOST_COPIES = 100_000  # copies that an expression may make of its data, judged before it meets any
# A unit is a step of the evaluation, a value that it makes, or sixteen characters of text.
_FREE = 250_000  # units, whatever the size of the data
_EACH = 10  # more units for each unit of the data
_MOST = 10_000_000  # units in all: some five seconds
# Nodes that give more than what stands in the data: a part of it, its order, whether a guess is right.
_COMPUTING = frozenset({"function_expression", "comparator"})
_BESIDE = frozenset({"multi_select_list", "multi_select_dict", "function_expression"})
# Raised by functions that do not fit the values, and by values that JSON allows and Python does not.
_UNFIT = (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError, LookupError)


class PathError(ValueError):
	"""An expression that cannot be applied to the data; the text says why."""


class PathTooCostly(PathError):
	"""An expression whose result would be out of proportion to the data."""


def reader(path: str) -> Reader:
	"""Return a function that looks a JMESPath up in what it is given; raises PathError, as does the function.

	Most paths are names and dots; for those a look-up in dictionaries gives the same, and costs a tenth.
	"""
	if not _PLAIN.fullmatch(path):
		return _evaluated(path)
	names = path.split(".")
	if len(names) == 1:
		return lambda record: record.get(path) if isinstance(record, dict) else None

	def read(record: Any) -> Any:
		for name in names:
			if not isinstance(record, dict):
				return None
			record = record.get(name)
		return record

	return read


_kept_reader = lru_cache(1000)(reader)  # for the few paths that settings name


def search(path: str, data: Any) -> Any:
	"""Return what stands at a path of the data, None if nothing does; raises PathError."""
	return _kept_reader(path)(data)


def path_problem(path: str) -> str | None:
	"""Return why a JMESPath expression cannot be used, None if it can."""
	if not isinstance(path, str):
		return _("{0!r} is not text", path)
	try:
		parsed(path)
	except PathError as error:
		return error.args[0]
	return None


def _evaluated(path: str) -> Reader:
	tree = parsed(path)

	def read(data: Any) -> Any:
		try:
			return _Bounded(data).visit(tree, data)
		except PathError:
			raise
		except _UNFIT as error:
			raise PathError(_first_line(error)) from None

	return read


@lru_cache(1000)
def computes(path: str) -> bool:
	"""Tell whether an expression computes values, and does not only select them; raises PathError."""
	return not _PLAIN.fullmatch(path) and _has_any(parsed(path), _COMPUTING)


def _has_any(node: Node, kinds: frozenset[str]) -> bool:
	children = (child for child in node["children"] if isinstance(child, Mapping))
	return node["type"] in kinds or any(_has_any(child, kinds) for child in children)


@lru_cache(1000)
def parsed(path: str) -> Node:
	"""Return an expression's tree; raises PathError for one that is none, or that would multiply what it meets."""
	if len(path) > _LONGEST:
		raise PathError(_("{0!r} is longer than {1} characters", f"{path[:80]}…", _LONGEST))
	try:
		tree = jmespath.compile(_OURS.sub(_quoted, path)).parsed
		depth, copies = _shape(tree)
	except JMESPathError as error:
		raise PathError(_("{0!r} is not a JMESPath expression ({1})", path, _mistake(error))) from None
	except (RecursionError, ValueError) as error:
		unread = _("{0!r} is not an expression that can be read ({1})", path[:80], _first_line(error))
		raise PathError(unread) from None
	if wrong := next(_wrong_calls(path[:80], tree), ""):
		raise PathError(wrong)
	if depth > _DEEPEST:
		raise PathError(_("{0!r} is nested deeper than {1} levels", path[:80], _DEEPEST))
	if copies > _MOST_COPIES:
		raise PathError(_("{0!r} would make more than {1} copies of its input", path[:80], _MOST_COPIES))
	return tree


def _quoted(found: re.Match[str]) -> str:
	return found[1] or (f'header."{found[2]}"' if found[2] else '"^"')


def _wrong_calls(path: str, node: Node) -> Iterator[str]:
	"""Yield mistakes that no data can mend: calls of functions that do not exist, or with other arguments than they take."""
	if node["type"] == "function_expression":
		yield from _wrong_call(path, node["value"], node["children"])
	for child in node["children"]:
		if isinstance(child, Mapping):
			yield from _wrong_calls(path, child)


def _wrong_call(path: str, name: str, given: Sequence[Node]) -> Iterator[str]:
	if name not in PathFunctions.FUNCTION_TABLE:
		yield _("{0!r} calls {1}(), which is no function", path, name)
		return
	takes = PathFunctions.FUNCTION_TABLE[name]["signature"]
	more = bool(takes) and takes[-1].get("variadic")
	if len(given) < len(takes) or (len(given) > len(takes) and not more):
		at_least = _(
			"{0!r} calls {1}() with {2} arguments; it takes {3} or more", path, name, len(given), len(takes)
		)
		exactly = _("{0!r} calls {1}() with {2} arguments; it takes {3}", path, name, len(given), len(takes))
		yield at_least if more else exactly
		return
	for argument, taken in zip(given, takes, strict=False):
		if "expref" in taken["types"] and argument["type"] != "expref":
			yield _("{0!r} calls {1}() without an expression, which is written with &, as &name", path, name)
	yield from _wrong_literals(path, name, given)


def _wrong_literals(path: str, name: str, given: Sequence[Node]) -> Iterator[str]:
	"""Yield what is wrong with the arguments of a call that have to stand in the settings as they are."""
	for place, argument in enumerate(given):
		if (name, place) not in LITERALS:
			continue
		if argument["type"] != "literal":
			yield _("{0!r}: {1}() takes only text in quotes there, not a value of the record", path, name)
		elif problem := literal_problem(name, place, argument["value"]):
			yield _("{0!r}: {1}", path, problem)


def _shape(node: Node) -> tuple[int, int]:
	"""Return how deep an expression is nested, and how many copies it can make of what it is given.

	What stands side by side adds up; what follows something else multiplies it.
	"""
	children = [_shape(child) for child in node["children"] if isinstance(child, Mapping)]
	depth = 1 + max((depth for depth, _copies in children), default=0)
	copies = [copies for _depth, copies in children]
	kind = node["type"]
	if kind == "literal":
		return depth, 0
	if kind in _BESIDE:
		return depth, max(1, sum(copies))
	if kind in ("comparator", "not_expression"):
		return depth, 1  # true or false
	if kind in ("or_expression", "and_expression"):
		return depth, max(copies)
	product = 1
	for number in copies[:2]:  # the third of a filter is its condition
		product = min(product * max(1, number), _MOST_COPIES + 1)
	return depth, product


class _Bounded(TreeInterpreter):
	"""Evaluates one expression once, and counts what that costs; raises PathTooCostly beyond its budget.

	data: what came. It is measured only when what is free for all is used up.
	"""

	def __init__(self, data: Any) -> None:
		super().__init__(_OPTIONS)
		self._data = data
		self._left = _FREE
		self._extended = False

	def visit(self, node: Node, value: Any) -> Any:
		self._left -= 1
		if self._left < 0:
			self._extend()
		return _VISITS[node["type"]](self, node, value)

	def visit_literal(self, node: Node, value: Any) -> Any:
		return self.made(super().visit_literal(node, value))

	def visit_multi_select_list(self, node: Node, value: Any) -> Any:
		return self.made(super().visit_multi_select_list(node, value))

	def visit_multi_select_dict(self, node: Node, value: Any) -> Any:
		return self.made(super().visit_multi_select_dict(node, value))

	def visit_flatten(self, node: Node, value: Any) -> Any:
		return self._listed(super().visit_flatten(node, value))

	def visit_slice(self, node: Node, value: Any) -> Any:
		return self._listed(super().visit_slice(node, value))

	def visit_comparator(self, node: Node, value: Any) -> Any:
		"""Compare as the base class does; what two lists or objects cost is known once they are evaluated."""
		left, right = [self.visit(child, value) for child in node["children"]]
		name = node["value"]
		if name in self._EQUALITY_OPS:
			self.made(left)
			self.made(right)
		elif not (_is_ordered(left) and _is_ordered(right)):
			return None
		return self.COMPARATOR_FUNC[name](left, right)

	def visit_function_expression(self, node: Node, value: Any) -> Any:
		name, arguments = node["value"], [self.visit(child, value) for child in node["children"]]
		for argument in arguments:
			if name in ("contains", "to_string"):  # look at everything, or write it out
				self.made(argument)
			elif isinstance(argument, list | dict | str):
				self._spend(len(argument) >> 4)
		self._spend(costs(name, arguments) >> 4)
		return self.made(self._functions.call_function(name, arguments))

	def made(self, value: Any) -> Any:
		"""Count a value with all that is in it, each time it is there; return it."""
		if value.__class__ in _HEAVY:
			weight = _weight(value, self._left)
			if weight > self._left and not self._extended:
				self._extend()
				weight = _weight(value, self._left)
			self._spend(weight)
		return value

	def _listed(self, value: Any) -> Any:
		"""Count a list whose elements were counted before; return it."""
		if value:
			self._spend(len(value) >> 2)
		return value

	def _spend(self, units: int) -> None:
		self._left -= units
		if self._left < 0:
			self._extend()

	def _extend(self) -> None:
		"""Raise the budget by what the size of the data allows, once."""
		if not self._extended:
			self._extended = True
			self._left += min(_EACH * _weight(self._data, _MOST // _EACH), _MOST)
		if self._left < 0:
			raise PathTooCostly(_("the expression produces too much from its input"))


_OPTIONS = Options(custom_functions=PathFunctions())
_VISITS = {name[6:]: getattr(_Bounded, name) for name in dir(_Bounded) if name.startswith("visit_")}
_HEAVY = frozenset({str, int, list, dict})


def _is_ordered(value: Any) -> bool:
	"""Tell whether a value is a number or text: nothing else has an order."""
	return isinstance(value, str | int | float) and not isinstance(value, bool)


def _weight(value: Any, most: int) -> int:
	"""Return how many units a value is, written out; counting ends above `most`."""
	weight, waiting = 0, [value]
	for item in waiting:  # which grows meanwhile
		kind = item.__class__
		if kind is str:
			weight += len(item) >> 4
		elif kind is int:
			weight += item.bit_length() >> 6
		elif kind is dict or kind is list:
			if kind is dict:
				weight += sum(map(len, item)) >> 4
				item = item.values()
			waiting.extend(item)
			if weight + len(waiting) > most:
				break
	return weight + len(waiting)


def _mistake(error: Exception) -> str:
	"""Return what JMESPath says of an expression, and how it spells what other languages spell differently."""
	said = _first_line(error).removesuffix(":").removesuffix(", for expression")
	if said.endswith("(NUMBER)"):
		return f"{said}; a number is written in backticks: `30`"
	return f"{said}; equality is written ==" if "Unknown token '='" in said else said


def _first_line(error: Exception) -> str:
	return str(error).splitlines()[0] if str(error) else type(error).__name__
