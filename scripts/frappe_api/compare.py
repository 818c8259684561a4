"""The comparison: each use of the app's, and what a checkout of Frappe says to it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts.frappe_api import documents, javascript, pins
from scripts.frappe_api.definitions import Checkout, Class, Function
from scripts.frappe_api.uses import Columns, Reader, Use

_DOCUMENT = "frappe.model.document.Document"
_QUOTED = re.compile(r"[\"'](\w+)[\"']")
_BOILERPLATE = re.compile(r"^#?\s*(\w+) = ", re.M)
# What Frappe calls on a document, where a controller has it.
_LIFECYCLE = frozenset(
	[
		"autoname",
		"before_insert",
		"after_insert",
		"before_validate",
		"validate",
		"before_save",
		"on_update",
		"before_submit",
		"on_submit",
		"before_cancel",
		"on_cancel",
		"before_update_after_submit",
		"on_update_after_submit",
		"before_rename",
		"after_rename",
		"on_trash",
		"after_delete",
		"on_change",
		"before_naming",
		"onload",
		"clear_old_logs",
		"get_list",
		"get_count",
		"get_stats",
		"load_from_db",
		"db_insert",
		"db_update",
		"on_doctype_update",
		"get_timeline_data",
	]
)


@dataclass
class Comparison:
	"""app: the app's package; checkout: Frappe's sources. What is wrong, and what is only unknown there."""

	app: Path
	checkout: Checkout
	found: dict[str, None] = field(default_factory=dict)
	notes: dict[str, None] = field(default_factory=dict)

	def run(self) -> Comparison:
		self.core = documents.DocTypes(self.checkout.package)
		self.own = documents.DocTypes(self.app)
		self.scripts = javascript.Scripts(self.checkout.package)
		for file in sorted(self.app.rglob("*.py")):
			self._python(file)
		for file in sorted(self.app.rglob("*.js")):
			self._script(file)
		for file, document in documents.documents(self.app):
			self._document(file, document)
		self._hooks(self.app / "hooks.py")
		project = self.app.parent / "pyproject.toml"
		for sentence in pins.refused(project, self.checkout.folder / "pyproject.toml"):
			self.found[f"pyproject.toml: {sentence}"] = None
		return self

	def _say(self, file: Path, line: int, sentence: str) -> None:
		self.found[f"{file.relative_to(self.app.parent)}:{line}: {sentence}"] = None

	def _python(self, file: Path) -> None:
		reader = Reader(file).read()
		for use in reader.uses:
			for sentence in self.answers(use):
				self._say(file, use.place.line, sentence)
		for asked in reader.columns:
			for sentence in self._columns(asked):
				self._say(file, asked.place.line, sentence)
		for line, sentence in self._controllers(file):
			self._say(file, line, sentence)

	def answers(self, use: Use) -> Iterator[str]:
		"""Say what is wrong with a use of a dotted name."""
		found = self.checkout.find(use.dotted)
		if None in found:
			yield f"{use.dotted} is not there"
			return
		for each in found:
			function = each.initializer() if isinstance(each, Class) else each
			if use.called and isinstance(function, Function):
				refusal = function.refuses(use.positional, list(use.keywords), use.partial)
				if refusal:
					yield f"{use.dotted} {refusal}"
					return

	def _columns(self, asked: Columns) -> Iterator[str]:
		core = self.core.get(asked.doctype)
		made_by_a_test = "tests" in asked.place.file.parts or asked.doctype.startswith("__")
		if core is None and self.own.get(asked.doctype) is None and not made_by_a_test:
			yield f"there is no DocType {asked.doctype}"
		elif core is not None and (missing := self.core.lacks(asked.doctype, asked.fields)):
			yield f"DocType {asked.doctype} has no {', '.join(missing)}"

	def _controllers(self, file: Path) -> Iterator[tuple[int, str]]:
		"""Say what the app's controllers use of Document and Frappe's has not, and what Frappe would never call."""
		base = self.checkout.find(_DOCUMENT)[0]
		if not isinstance(base, Class):
			return
		for node in ast.walk(ast.parse(file.read_text())):
			if isinstance(node, ast.ClassDef) and [ast.unparse(b) for b in node.bases] == ["Document"]:
				yield from self._controller(file, node, base)

	def _controller(self, file: Path, node: ast.ClassDef, base: Class) -> Iterator[tuple[int, str]]:
		own = {inner.name for inner in ast.walk(node) if isinstance(inner, ast.FunctionDef)}
		known = own | set(self.own.get(file.stem) or ()) | documents.STANDARD
		for inner in ast.walk(node):
			if (
				isinstance(inner, ast.Attribute)
				and isinstance(inner.value, ast.Name)
				and inner.value.id == "self"
			):
				stored = isinstance(inner.ctx, ast.Store)
				if inner.attr not in known and not stored and base.member(inner.attr) is None:
					yield inner.lineno, f"Document has no {inner.attr}"
		for name in sorted(own & _LIFECYCLE):
			if not self._called(name):
				yield node.lineno, f"nothing calls {name} of a document"

	def _called(self, name: str) -> bool:
		pattern = re.compile(rf"[\"'.]{name}\b")
		return any(pattern.search(text) for text in self._lifecycle)

	@property
	def _lifecycle(self) -> list[str]:
		if not hasattr(self, "_texts"):
			folders = (
				"model",
				"core/doctype/doctype",
				"core/doctype/log_settings",
				"desk/form",
				"desk",
				"utils",
			)
			files = [f for folder in folders for f in self.checkout.package.joinpath(folder).glob("*.py")]
			self._texts = [f.read_text() for f in files]
		return self._texts

	def _script(self, file: Path) -> None:
		for line, kind, text, names in javascript.uses(file):
			ours = text.startswith(f"frappe.boot.{self.app.name}")  # what the app itself gives each session
			if kind == "name" and not ours and not self.scripts.defines(text):
				self._say(file, line, f"{text} is not in Frappe's scripts")
			if kind == "method" and not self.scripts.method(text, names):
				self._say(file, line, f"{text}.{'.'.join(names)} is not in Frappe's scripts")
			if kind == "path" and None in self.checkout.find(text) and not self.scripts.defines(text):
				self._say(file, line, f"{text} is not there")

	def _document(self, file: Path, document: dict) -> None:
		for sentence in documents.problems(document, self.core):
			self._say(file, 1, sentence)
		for sentence in documents.unknown(document, self.core):
			self.notes[f"{file.relative_to(self.app.parent)}: {sentence}"] = None

	def _hooks(self, file: Path) -> None:
		texts = [f.read_text(errors="replace") for f in self.checkout.package.rglob("*.py")]
		known = {name for text in texts for name in _QUOTED.findall(text)}  # hooks are asked for by name
		boilerplate = self.checkout.package / "utils/boilerplate.py"
		known |= set(_BOILERPLATE.findall(boilerplate.read_text())) if boilerplate.exists() else set()
		for statement in ast.parse(file.read_text()).body:
			if isinstance(statement, ast.Assign) and statement.targets[0].id not in known:
				self.notes[f"{file.relative_to(self.app.parent)}: no hook {statement.targets[0].id}"] = None
