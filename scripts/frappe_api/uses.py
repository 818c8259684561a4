"""Uses of Frappe's Python in the app, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.frappe_api.definitions import ROOT_NAME

_GUARDS = {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception"}
# Functions that take a DocType's name first.
_QUERIES = {
	"get_all", "get_list", "get_value", "get_values", "set_value", "count", "exists", "delete", "new_doc", "get_doc",
	"get_cached_doc", "get_meta", "delete_doc", "rename_doc", "get_single_value", "get_cached_value",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
	file: Path
	line: int


@dataclass(frozen=True)
class Use:
	"""A dotted name of Frappe's; how it is called, if it is."""

	place: Place
	dotted: str
	called: bool = False
	positional: int = 0
	keywords: tuple[str, ...] = ()
	partial: bool = False  # it is called with *more or **more


@dataclass(frozen=True)
class Columns:
	"""A DocType, and fields that are asked of it by name."""

	place: Place
	doctype: str
	fields: tuple[str, ...] = ()


@dataclass
class Reader(ast.NodeVisitor):
	"""Reads one file; `uses` and `columns` are what it found."""

	file: Path
	uses: list[Use] = field(default_factory=list)
	columns: list[Columns] = field(default_factory=list)
	_names: list[dict[str, str | None]] = field(default_factory=lambda: [{}])
	_guarded: int = 0
	_tested: set[str] = field(default_factory=set)  # fields that the function asks for before it uses them

	def read(self) -> Reader:
		self.visit(ast.parse(self.file.read_text()))
		return self

	def visit_Import(self, node: ast.Import) -> None:
		for alias in node.names:
			if alias.name.split(".")[0] == ROOT_NAME:
				self._names[-1][alias.asname or ROOT_NAME] = alias.name if alias.asname else ROOT_NAME
				self._note(node, alias.name)

	def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
		if node.level or (node.module or "").split(".")[0] != ROOT_NAME:
			return
		for alias in node.names:
			self._names[-1][alias.asname or alias.name] = f"{node.module}.{alias.name}"
			self._note(node, f"{node.module}.{alias.name}")

	def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
		for outside in (*node.decorator_list, node.args, *filter(None, [node.returns])):
			self.visit(outside)
		arguments = node.args
		own = [
			*arguments.posonlyargs,
			*arguments.args,
			*arguments.kwonlyargs,
			arguments.vararg,
			arguments.kwarg,
		]
		with self._scope([a.arg for a in own if a], set(_tests(node))):
			for statement in node.body:
				self.visit(statement)

	visit_AsyncFunctionDef = visit_FunctionDef

	def visit_Try(self, node: ast.Try) -> None:
		caught = {name.split(".")[-1] for handler in node.handlers for name in _names_in(handler.type)}
		with self._guard(bool(caught & _GUARDS) and _imports(node.body)):
			for statement in (*node.body, *node.handlers):
				self.visit(statement)
		for statement in (*node.orelse, *node.finalbody):
			self.visit(statement)

	def visit_If(self, node: ast.If) -> None:
		with self._guard("hasattr(" in ast.unparse(node.test)):
			self.generic_visit(node)

	def visit_IfExp(self, node: ast.IfExp) -> None:
		with self._guard("hasattr(" in ast.unparse(node.test)):
			self.generic_visit(node)

	def visit_Call(self, node: ast.Call) -> None:
		dotted = self._dotted(node.func)
		if dotted:
			self._note(node, dotted, called=True, **_shape(node))
			self._ask(node, dotted)
		else:
			self.visit(node.func)
		for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
			self.visit(argument)

	def visit_Attribute(self, node: ast.Attribute) -> None:
		dotted = self._dotted(node)
		if dotted:
			self._note(node, dotted)
		else:
			self.generic_visit(node)

	def visit_Dict(self, node: ast.Dict) -> None:
		keys = {key.value: value for key, value in zip(node.keys, node.values, strict=True) if _text(key)}
		doctype = _text(keys.get("doctype"))
		if doctype and "cmd" not in keys:  # else it is the body of a request
			self.columns.append(Columns(self._place(node), doctype, tuple(keys)))
		self.generic_visit(node)

	def _ask(self, call: ast.Call, dotted: str) -> None:
		"""Note the DocType and the fields that a call asks for."""
		if dotted.split(".")[-1] not in _QUERIES or not dotted.startswith(ROOT_NAME) or not call.args:
			return
		doctype = _text(call.args[0])
		if doctype:
			fields = (name for name in _asked(call, dotted) if name not in self._tested)
			self.columns.append(Columns(self._place(call), doctype, tuple(fields)))

	def _dotted(self, node: ast.AST) -> str | None:
		"""Return Frappe's name of what an expression of names and dots means."""
		parts: list[str] = []
		while isinstance(node, ast.Attribute):
			parts.insert(0, node.attr)
			node = node.value
		if not isinstance(node, ast.Name):
			return None
		base = next((names[node.id] for names in reversed(self._names) if node.id in names), None)
		return ".".join([base, *parts]) if base else None

	def _note(self, node: ast.AST, dotted: str, **shape) -> None:
		if not self._guarded:
			self.uses.append(Use(self._place(node), dotted, **shape))

	def _place(self, node: ast.AST) -> Place:
		return Place(self.file, node.lineno)

	@contextmanager
	def _scope(self, hidden: list[str], tested: set[str]) -> Iterator[None]:
		self._names.append(dict.fromkeys(hidden))
		outer, self._tested = self._tested, self._tested | tested
		try:
			yield
		finally:
			self._names.pop()
			self._tested = outer

	@contextmanager
	def _guard(self, on: bool) -> Iterator[None]:
		self._guarded += on
		try:
			yield
		finally:
			self._guarded -= on


def _names_in(node: ast.expr | None) -> list[str]:
	if node is None:
		return ["Exception"]
	return [ast.unparse(each) for each in (node.elts if isinstance(node, ast.Tuple) else [node])]


def _imports(body: list[ast.stmt]) -> bool:
	return any(isinstance(statement, ast.Import | ast.ImportFrom) for statement in body)


def _shape(call: ast.Call) -> dict:
	starred = any(isinstance(a, ast.Starred) for a in call.args)
	keywords = tuple(k.arg for k in call.keywords if k.arg)
	partial = starred or len(keywords) < len(call.keywords)
	return {"positional": len(call.args) - starred, "keywords": keywords, "partial": partial}


def _text(node: ast.AST | None) -> str | None:
	return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _tests(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
	"""Return the names of the fields that a function asks for with has_field or has_column."""
	for node in ast.walk(function):
		if isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".has_field", ".has_column")):
			yield from filter(None, map(_text, node.args))


def _asked(call: ast.Call, dotted: str) -> Iterator[str]:
	"""Return the names of fields in a query: its filters' keys, its fields, what it plucks."""
	given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
	places = ["filters", "fields"] if dotted.endswith(("get_all", "get_list")) else ["filters", "fieldname"]
	given |= dict(zip(places, call.args[1:], strict=False))
	for name in ("fields", "fieldname", "pluck"):
		value = given.get(name)
		yield from filter(
			None, map(_text, value.elts if isinstance(value, ast.List | ast.Tuple) else [value])
		)
	filters = given.get("filters")
	if isinstance(filters, ast.Dict):
		yield from filter(None, map(_text, filters.keys))
