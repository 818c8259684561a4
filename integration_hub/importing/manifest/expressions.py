"""Jinja of a manifest, computed as far as it is constant; what depends on a request or an answer stays an expression.

The text is parsed to Jinja's syntax tree and never rendered. Names that are known (`config`, `parameters`) are folded
into constants; all others are left as `Expr`, which `jmespath_text` and `placeholder_text` write in our languages.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from integration_hub.importing.documents import ImportRefused
from integration_hub.importing.manifest.constant_functions import FILTERS, FUNCTIONS, METHODS, TESTS
from integration_hub.importing.manifest.secret_marks import secret_mark, secret_names
from integration_hub.lazy_messages import _

_LONGEST = 20_000  # characters of an expression, and of what folding makes
_DEEPEST = 60
_FREE_NAMES = (
	*("response", "headers", "record", "last_record", "last_page_size", "decoded_response"),
	*("stream_slice", "stream_interval", "stream_partition", "stream_state", "next_page_token", "partition"),
	*("stream_template_config", "components_values", "creation_response", "polling_response"),
)
_SAME = {
	"stream_interval": "slice",
	"stream_partition": "slice",
	"stream_slice": "slice",
	"partition": "slice",
}
_SAME_NAMES = {**_SAME, "decoded_response": "response"}


class Unconverted(ValueError):
	"""An expression that has no equal; the text says why."""


class Undefined:
	"""The value of a name that is not there: empty as text, false as a condition. path: of `config`, if it is one's."""

	def __init__(self, path: str = "") -> None:
		self.path = path

	def __str__(self) -> str:
		return ""

	def __bool__(self) -> bool:
		return False


UNDEFINED = Undefined()


@dataclass(frozen=True)
class Expr:
	"""An expression that is known only when a request is made or answered. op: as `name`, `get`, `not`, `call`."""

	op: str
	args: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Scope:
	"""The names that are known. is_secret: does a path of `config` hold a secret? missing: paths that have no answer."""

	config: Mapping[str, Any]
	parameters: Mapping[str, Any]
	is_secret: Callable[[str], bool] = lambda path: False
	missing: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Config:
	"""A place within the answers."""

	value: Any
	path: str = ""


def evaluated(text: Any, scope: Scope) -> Any:
	"""Return what a text of a manifest says: a constant, or an Expr. Raises Unconverted.

	As in the CDK, text that is a Python literal after folding is that literal.
	"""
	if not isinstance(text, str):
		return text
	if "{{" not in text and "{%" not in text:
		return text
	found = _Evaluator(scope).template(text)
	return found if isinstance(found, Expr) else literal(found)


def as_text(text: Any, scope: Scope) -> Any:
	"""Return what a text says, as text or an Expr. Raises Unconverted."""
	found = evaluated(text, scope)
	return found if isinstance(found, Expr) else text_of(found)


def constant(text: Any, scope: Scope) -> Any:
	"""Return what a text says where that must be constant. Raises Unconverted."""
	found = evaluated(text, scope)
	if isinstance(found, Expr):
		raise Unconverted(_("{0} is known only while requests are made", str(text).strip()[:200]))
	return found


def text_of(value: Any) -> str:
	"""Return a constant as Jinja writes it."""
	return "" if value is None else str(value)


def literal(text: Any) -> Any:
	"""Return the Python literal that a text is, else the text."""
	if not isinstance(text, str):
		return text
	try:
		found = ast.literal_eval(text)
	except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
		return text
	return text if isinstance(found, complex | bytes | set) else found


def parse(text: str) -> Any:
	"""Return the tree of a template. Raises Unconverted for what is none, ImportRefused without Jinja."""
	try:
		from jinja2 import Environment, TemplateSyntaxError
	except ImportError:
		install = "pip install 'integration_hub[import]'"
		raise ImportRefused(_("cannot be read: install Jinja2 ({0})", install)) from None
	if len(text) > _LONGEST:
		raise Unconverted(_("is longer than {0} characters", _LONGEST))
	try:
		return _environment(Environment).parse(text)
	except (TemplateSyntaxError, RecursionError, ValueError) as error:
		raise Unconverted(_("{0} cannot be read: {1}", text.strip()[:100], str(error)[:200])) from None


def _environment(make: Any) -> Any:
	"""Return what parses; filters need not be known for that."""
	return make(optimized=False)


_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
	"eq": operator.eq,
	"ne": operator.ne,
	"lt": operator.lt,
	"lteq": operator.le,
	"gt": operator.gt,
	"gteq": operator.ge,
	"in": lambda item, place: item in place,
	"notin": lambda item, place: item not in place,
}
_ARITHMETIC: Mapping[str, tuple[str, Callable[[Any, Any], Any]]] = {
	"Add": ("+", operator.add),
	"Sub": ("-", operator.sub),
	"Mul": ("*", operator.mul),
	"Div": ("/", operator.truediv),
	"FloorDiv": ("//", operator.floordiv),
	"Mod": ("%", operator.mod),
}
_UNFIT = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


def _is_open(*values: Any) -> bool:
	"""Tell whether one of the values is known only later."""
	return any(
		isinstance(value, Expr) or (isinstance(value, list | tuple) and _is_open(*value)) for value in values
	)


class _Evaluator:
	"""Folds one template. A method for each kind of node, named as Jinja names it."""

	def __init__(self, scope: Scope) -> None:
		self.scope, self._depth = scope, 0
		self._set: dict[str, Any] = {}

	def template(self, text: str) -> Any:
		"""Return a template's text, or an Expr."""
		return _joined([self._part(node) for node in parse(text).body])

	def _part(self, node: Any) -> Any:
		kind = type(node).__name__
		if kind == "Output":
			return _joined([self.value(one) for one in node.nodes])
		if kind == "If":
			return self._if(node)
		if kind == "Assign" and type(node.target).__name__ == "Name":
			self._set[node.target.name] = self.value(node.node)
			return ""
		raise Unconverted(_("the Jinja statement {0} has no equal", kind))

	def _if(self, node: Any) -> Any:
		branches = [(node.test, node.body), *((one.test, one.body) for one in node.elif_)]
		rest: Any = None
		chosen = []
		for test, body in branches:
			found = self.value(test)
			if not isinstance(found, Expr):
				if truth(found):
					rest = body
					break
				continue
			chosen.append((found, self._body(body)))
		last = self._body(node.else_ if rest is None else rest)
		for test, text in reversed(chosen):
			last = Expr("cond", (test, text, last))
		return last

	def _body(self, nodes: Any) -> Any:
		return _joined([self._part(node) for node in nodes])

	def value(self, node: Any) -> Any:
		"""Return the value of a node: a constant, or an Expr. Raises Unconverted."""
		method = getattr(self, f"_on_{type(node).__name__}", None)
		self._depth += 1
		if method is None or self._depth > _DEEPEST:
			raise Unconverted(_("Jinja's {0} has no equal", type(node).__name__))
		try:
			found = method(node)
		except _UNFIT as error:
			if isinstance(error, Unconverted):
				raise
			raise Unconverted(_("cannot be computed: {0}", str(error)[:200])) from None
		finally:
			self._depth -= 1
		if isinstance(found, str) and len(found) > _LONGEST:
			raise Unconverted(_("is longer than {0} characters", _LONGEST))
		return found

	def _plain(self, node: Any) -> Any:
		return _opened(self.value(node))

	def _on_TemplateData(self, node: Any) -> Any:
		return node.data

	def _on_Const(self, node: Any) -> Any:
		return node.value

	def _on_List(self, node: Any) -> Any:
		return [self._plain(item) for item in node.items]

	_on_Tuple = _on_List

	def _on_Dict(self, node: Any) -> Any:
		return {self._plain(pair.key): self._plain(pair.value) for pair in node.items}

	def _on_Name(self, node: Any) -> Any:
		if node.name in self._set:
			return self._set[node.name]
		if node.name == "config":
			return _Config(self.scope.config)
		if node.name in ("parameters", "options"):
			return self.scope.parameters
		if node.name in _FREE_NAMES:
			return Expr("name", (_SAME_NAMES.get(node.name, node.name),))
		raise Unconverted(_("{0} is not a name that is known", node.name))

	def _on_Getattr(self, node: Any) -> Any:
		return self._got(self.value(node.node), node.attr)

	def _on_Getitem(self, node: Any) -> Any:
		if type(node.arg).__name__ == "Slice":
			return self._sliced(self._plain(node.node), node.arg)
		return self._got(self.value(node.node), self._plain(node.arg))

	def _sliced(self, base: Any, part: Any) -> Any:
		bounds = [None if one is None else self._plain(one) for one in (part.start, part.stop, part.step)]
		if _is_open(base, bounds):
			return Expr("slice", (base, *bounds))
		return base[slice(*bounds)]

	def _got(self, base: Any, key: Any, default: Any = UNDEFINED) -> Any:
		if isinstance(base, _Config):
			return self._answer(base, key, default)
		if isinstance(base, Undefined) and base.path:
			self.scope.missing.discard(base.path)
			return self._answer(_Config({}, base.path), key, default)
		if isinstance(base, str) and isinstance(key, str) and base == secret_mark(base[1:-1]):
			return secret_mark(f"{base[1:-1]}.{key}")  # a part of what was taken for a secret
		if _is_open(base, key):
			return Expr("get", (base, key))
		return _at(base, key, default)

	def _answer(self, base: _Config, key: Any, default: Any) -> Any:
		path = f"{base.path}.{key}" if base.path else str(key)
		if self.scope.is_secret(path):
			return secret_mark(path)
		found = _at(base.value, key, default)
		if isinstance(base.value, Mapping) and key not in base.value:
			self.scope.missing.add(path)
			found = Undefined(path) if found is UNDEFINED else found
		return _Config(found, path) if isinstance(found, Mapping) else found

	def _on_Call(self, node: Any) -> Any:
		given = [self._plain(one) for one in node.args]
		named = {one.key: self._plain(one.value) for one in node.kwargs}
		if type(node.node).__name__ == "Name":
			return self._called(node.node.name, given, named)
		if type(node.node).__name__ != "Getattr":
			raise Unconverted(_("a call of {0} has no equal", type(node.node).__name__))
		return self._method(self.value(node.node.node), node.node.attr, given)

	def _called(self, name: str, given: list[Any], named: dict[str, Any]) -> Any:
		if name not in FUNCTIONS:
			raise Unconverted(_("the function {0}() is not known", name))
		function = FUNCTIONS[name]
		if function is None or _is_open(given, list(named.values())):
			return Expr("call", (name, tuple(given) + tuple(named.values())))
		return _folded(function, *given, **named)

	def _method(self, base: Any, name: str, given: list[Any]) -> Any:
		if name == "get" and given:
			return self._get(base, *given)
		base = _opened(base)
		if _is_open(base, given):
			return Expr("method", (base, name, tuple(given)))
		if name not in METHODS:
			raise Unconverted(_("the method {0}() is not known", name))
		return _folded(METHODS[name], base, *given)

	def _get(self, base: Any, key: Any, default: Any = None) -> Any:
		if isinstance(base, Expr):
			found = Expr("get", (base, key))
			return Expr("default", (found, default)) if default not in (None, "", {}, []) else found
		return self._got(base, key, default)

	def _on_Filter(self, node: Any) -> Any:
		base = self._plain(node.node) if node.node is not None else ""
		given = [self._plain(one) for one in node.args]
		named = [self._plain(one.value) for one in node.kwargs]
		if node.name in ("default", "d"):
			return _default(base, *given, *named)
		if _is_open(base, given):
			return Expr("filter", (base, node.name, tuple(given + named)))
		if node.name not in FILTERS:
			raise Unconverted(_("the filter {0} is not known", node.name))
		return _folded(FILTERS[node.name], base, *given, *named)

	def _on_Test(self, node: Any) -> Any:
		base = self._plain(node.node)
		if isinstance(base, Expr):
			return Expr("test", (base, node.name))
		if node.name not in TESTS:
			raise Unconverted(_("the test {0} is not known", node.name))
		if isinstance(base, Undefined):
			return node.name in ("undefined", "none")
		return TESTS[node.name](base)

	def _on_Not(self, node: Any) -> Any:
		found = self._plain(node.node)
		return Expr("not", (found,)) if isinstance(found, Expr) else not truth(found)

	def _on_And(self, node: Any) -> Any:
		left = self._plain(node.left)
		if not isinstance(left, Expr):
			return self._plain(node.right) if truth(left) else left
		return Expr("and", (left, self._plain(node.right)))

	def _on_Or(self, node: Any) -> Any:
		left = self._plain(node.left)
		if not isinstance(left, Expr):
			return left if truth(left) else self._plain(node.right)
		return Expr("or", (left, self._plain(node.right)))

	def _on_CondExpr(self, node: Any) -> Any:
		test = self._plain(node.test)
		if not isinstance(test, Expr):
			rest = self._plain(node.expr2) if node.expr2 is not None else UNDEFINED
			return self._plain(node.expr1) if truth(test) else rest
		rest = self._plain(node.expr2) if node.expr2 is not None else ""
		return Expr("cond", (test, self._plain(node.expr1), rest))

	def _on_Compare(self, node: Any) -> Any:
		if len(node.ops) != 1:
			raise Unconverted(_("a chain of comparisons has no equal"))
		left, right, kind = self._plain(node.expr), self._plain(node.ops[0].expr), node.ops[0].op
		if _is_open(left, right):
			return Expr("compare", (kind, left, right))
		if secret_names([left, right]):
			raise Unconverted(_("compares a secret"))
		return _COMPARISONS[kind](left, right)

	def _on_Concat(self, node: Any) -> Any:
		return _joined([self._plain(one) for one in node.nodes])

	def _on_Neg(self, node: Any) -> Any:
		found = self._plain(node.node)
		return Expr("-", (0, found)) if isinstance(found, Expr) else -found

	def _arithmetic(self, node: Any) -> Any:
		symbol, function = _ARITHMETIC[type(node).__name__]
		left, right = self._plain(node.left), self._plain(node.right)
		if symbol == "+" and isinstance(left, str) | isinstance(right, str):
			return _joined([left, right])
		if _is_open(left, right):
			return Expr(symbol, (left, right))
		return _folded(function, left, right)

	_on_Add = _on_Sub = _on_Mul = _on_Div = _on_FloorDiv = _on_Mod = _arithmetic


def truth(value: Any) -> bool:
	"""Tell whether a constant counts as true, as Jinja has it."""
	return bool(_opened(value))


def _opened(value: Any) -> Any:
	return value.value if isinstance(value, _Config) else value


def _at(base: Any, key: Any, default: Any) -> Any:
	"""Return what an object or a list has at a key. Raises Unconverted for what has nothing."""
	if isinstance(base, Mapping):
		return base.get(key, default)
	if isinstance(base, Undefined):
		return UNDEFINED
	if isinstance(base, list | tuple | str) and isinstance(key, int) and -len(base) <= key < len(base):
		return base[key]
	return default


def _default(base: Any, fallback: Any = "", always: Any = False) -> Any:
	if isinstance(base, Expr):
		return Expr("default", (base, fallback))
	return fallback if isinstance(base, Undefined) or (always and not truth(base)) else base


def _folded(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
	"""Return what a function of constants gives. Raises Unconverted where a secret would be computed with."""
	if secret_names([*given, *named.values()]) and function is not operator.add:
		raise Unconverted(_("computes with a secret"))
	sizes = [len(one) if isinstance(one, str | list) else abs(one) for one in given if _has_size(one)]
	if function is operator.mul and sizes and max(sizes) > 1_000_000_000_000:
		raise Unconverted(_("computes too large a number"))
	if function is operator.mul and any(isinstance(one, str | list) for one in given):
		raise Unconverted(_("repeats a text"))
	return function(*given, **named)


def _has_size(value: Any) -> bool:
	return isinstance(value, str | list | int | float) and not isinstance(value, bool)


def _joined(parts: list[Any]) -> Any:
	"""Return parts as one text; an Expr where one of them is."""
	parts = [
		_opened(part) for part in parts if not isinstance(_opened(part), Undefined) and _opened(part) != ""
	]
	if not any(isinstance(part, Expr) for part in parts):
		return "".join(text_of(part) for part in parts)
	flat: list[Any] = []
	for part in parts:
		flat += part.args if isinstance(part, Expr) and part.op == "text" else [part]
	if len(flat) == 1:
		return flat[0]
	return Expr("text", tuple(part if isinstance(part, Expr) else text_of(part) for part in flat))
