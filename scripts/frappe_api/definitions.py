"""Definitions in a checkout of Frappe: its modules, classes and functions, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT_NAME = "frappe"
DRIVERS = (
	"mariadb.database.MariaDB",
	"mariadb.mysqlclient.MariaDB",
	"postgres.database.Postgres",
	"sqlite.database.SQLite",
)
# Objects that Frappe sets up as it starts, and the classes they are of.
OBJECTS = {
	"frappe.db": [f"frappe.database.{driver}Database" for driver in DRIVERS],
	"frappe.cache": ["frappe.utils.redis_wrapper.RedisWrapper"],
}


class Unknown:
	"""Stands for something that is there and of which no more is known."""


@dataclass
class Function:
	node: ast.FunctionDef | ast.AsyncFunctionDef
	bound: bool = False  # is its first parameter given by the call?

	@property
	def decorators(self) -> set[str]:
		return {ast.unparse(d).split("(")[0].split(".")[-1] for d in self.node.decorator_list}

	def refuses(self, positional: int, keywords: list[str], partial: bool) -> str | None:
		"""Say why it does not take such a call; partial: the call passes on more than is seen."""
		arguments = self.node.args
		names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)][self._given :]
		if positional > len(names) and not arguments.vararg:
			return f"takes {len(names)} positional arguments, not {positional}"
		known = {*names, *(a.arg for a in arguments.kwonlyargs)}
		if not arguments.kwarg and (unknown := [k for k in keywords if k not in known]):
			return f"has no argument {', '.join(unknown)}"
		needed = names[: len(names) - len(arguments.defaults)]
		needed += [
			a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None
		]
		missing = [n for n in needed if n not in names[:positional] and n not in keywords]
		return f"needs {', '.join(missing)}" if missing and not partial else None

	@property
	def _given(self) -> int:
		return int(self.bound and "staticmethod" not in self.decorators)


@dataclass
class Class:
	module: Module
	node: ast.ClassDef

	@cached_property
	def bases(self) -> list[Class | None]:
		"""The classes it derives from, None for one that is defined elsewhere."""
		found = (self.module.checkout.find_in(self.module, ast.unparse(base)) for base in self.node.bases)
		return [base if isinstance(base, Class) else None for base in found]

	@property
	def open(self) -> bool:
		"""Tell whether it may have more than is seen: from a base that is defined elsewhere, or by __getattr__."""
		return "__getattr__" in self._own or any(base is None or base.open for base in self.bases)

	@cached_property
	def _own(self) -> dict[str, object]:
		return dict(_members(self.node))

	def member(self, name: str) -> object | None:
		if name in self._own:
			return self._own[name]
		found = (base.member(name) for base in self.bases if base)
		return next((member for member in found if member), None)

	def initializer(self) -> Function | None:
		made = self.member("__init__")
		return made if isinstance(made, Function) and not self.open and not self.node.keywords else None


def _members(node: ast.ClassDef) -> Iterator[tuple[str, object]]:
	"""Return what a class's body defines, and what its methods set on self."""
	for inner in ast.walk(node):
		stored = isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store)
		if stored and isinstance(inner.value, ast.Name) and inner.value.id == "self":
			yield inner.attr, Unknown()
	for statement in _statements(node.body):
		if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
			plain = {ast.unparse(d).split(".")[-1] for d in statement.decorator_list} & {
				"property",
				"cached_property",
				"setter",
			}
			yield statement.name, Unknown() if plain else Function(statement, bound=True)
		else:
			yield from ((name, Unknown()) for name in _assigned(statement))


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
	"""Return the statements of a body, those within `if`, `try` and `with` too."""
	for statement in body:
		yield statement
		if isinstance(statement, ast.If | ast.Try | ast.With):
			for part in ("body", "orelse", "finalbody"):
				yield from _statements(getattr(statement, part, []))
			for handler in getattr(statement, "handlers", []):
				yield from _statements(handler.body)


def _assigned(statement: ast.stmt) -> Iterator[str]:
	targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
	for target in filter(None, targets):
		yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


@dataclass
class Module:
	checkout: Checkout
	dotted: str
	file: Path | None  # None for a folder that says nothing itself
	names: dict[str, object] = field(default_factory=dict)  # an object, or the dotted name it was imported by
	stars: list[str] = field(default_factory=list)

	def __post_init__(self) -> None:
		tree = ast.parse(self.file.read_text(), str(self.file)) if self.file else ast.Module([], [])
		for statement in _statements(tree.body):
			self._read(statement)

	def _read(self, statement: ast.stmt) -> None:
		if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
			self.names[statement.name] = Function(statement)
		elif isinstance(statement, ast.ClassDef):
			self.names[statement.name] = Class(self, statement)
		elif isinstance(statement, ast.Import):
			self.names |= {
				a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0]
				for a in statement.names
			}
		elif isinstance(statement, ast.ImportFrom):
			self._import(statement)
		else:
			for name in _assigned(statement):
				self.names.setdefault(name, Unknown())

	def _import(self, statement: ast.ImportFrom) -> None:
		source = ".".join(filter(None, (self._package(statement.level), statement.module)))
		for alias in statement.names:
			if alias.name == "*":
				self.stars.append(source)
			else:
				self.names.setdefault(alias.asname or alias.name, f"{source}.{alias.name}")

	def _package(self, level: int) -> str:
		if not level:
			return ""
		parts = self.dotted.split(".") if self.file.name == "__init__.py" else self.dotted.split(".")[:-1]
		return ".".join(parts[: len(parts) - level + 1])


class Checkout:
	"""A folder that holds the `frappe` package: a clone of Frappe, or a part of one."""

	def __init__(self, folder: Path):
		self.folder = folder
		self._modules: dict[str, Module | None] = {}

	@property
	def package(self) -> Path:
		return self.folder / ROOT_NAME

	def module(self, dotted: str) -> Module | None:
		if dotted not in self._modules:
			base = self.folder.joinpath(*dotted.split("."))
			file = next((f for f in (base / "__init__.py", base.with_suffix(".py")) if f.is_file()), None)
			self._modules[dotted] = Module(self, dotted, file) if file or base.is_dir() else None
		return self._modules[dotted]

	def find_in(self, module: Module, dotted: str) -> object | None:
		"""Return what a dotted name means within a module, None if it is not there."""
		first, *rest = dotted.split(".")
		return self._follow(self._name(module, first), rest)

	def find(self, dotted: str) -> list[object | None]:
		"""Return what a dotted name from `frappe.` on leads to: one thing, or one for each database driver."""
		for name, classes in OBJECTS.items():
			if dotted.startswith(f"{name}."):
				rest = dotted.removeprefix(f"{name}.").split(".")
				there = [found for path in classes if (found := self._path(path))]
				return [self._member(holder, rest) for holder in there] or [Unknown()]
		return [self._path(dotted)]

	def _path(self, dotted: str) -> object | None:
		first, *rest = dotted.split(".")
		module = self.module(first)
		return self._follow(module, rest) if module else Unknown()

	def _follow(self, found: object | None, rest: list[str]) -> object | None:
		for name in rest:
			if isinstance(found, Module):
				found = self._name(found, name)
			elif isinstance(found, Class):
				found = self._member(found, [name])
			elif isinstance(found, Function):
				return Unknown()
		return found

	def _member(self, holder: object, rest: list[str]) -> object | None:
		if not isinstance(holder, Class):
			return holder
		member = holder.member(rest[0])
		if member is None:
			return Unknown() if holder.open else None
		return Unknown() if rest[1:] else member

	def _name(self, module: Module, name: str) -> object | None:
		known = module.names.get(name)
		if isinstance(known, str):
			return self._imported(known, module)
		if known is None:
			known = self.module(f"{module.dotted}.{name}") or self._from_stars(module, name)
		return (
			Unknown()
			if known is None and "__getattr__" in module.names and module.dotted == ROOT_NAME
			else known
		)

	def _imported(self, dotted: str, by: Module) -> object | None:
		parent, _, name = dotted.rpartition(".")
		if dotted.split(".")[0] != ROOT_NAME:
			return Unknown()
		source = self.module(parent) if parent else None
		if source is None or source is by:
			return self.module(dotted)
		return self._name(source, name)

	def _from_stars(self, module: Module, name: str) -> object | None:
		sources = (self.module(star) for star in module.stars)
		return next((found for source in sources if source and (found := self._name(source, name))), None)
