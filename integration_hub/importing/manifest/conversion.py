"""A conversion: the manifest, the answers, and what has come of it so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from integration_hub.importing.manifest.components import Component, Manifest
from integration_hub.importing.manifest.expressions import (
	Expr,
	Scope,
	Unconverted,
	as_text,
	constant,
	evaluated,
	literal,
	text_of,
)
from integration_hub.importing.manifest.placeholder_text import TemplateWriter
from integration_hub.importing.manifest.questions import config_of, is_named_secret
from integration_hub.importing.manifest.secret_marks import secret_names
from integration_hub.importing.proposal import Question
from integration_hub.lazy_messages import _


@dataclass
class Conversion:
	"""State that all parts of a conversion share. secrets: the names of the answers that are secret."""

	manifest: Manifest
	questions: list[Question]
	answers: Mapping[str, Any]
	config: Mapping[str, Any] = field(default_factory=dict)
	secrets: set[str] = field(default_factory=set)
	notes: list[str] = field(default_factory=list)
	missing: set[str] = field(default_factory=set)
	plain: set[str] = field(default_factory=set)

	def __post_init__(self) -> None:
		self.secrets = {question.name for question in self.questions if question.secret}
		self.config = config_of(self.questions, self.answers)

	def scope(self, component: Component) -> Scope:
		"""Return the names that the expressions of a component know."""
		return Scope(self.config, component.parameters, self._is_secret, self.missing)

	def _is_secret(self, path: str) -> bool:
		"""Tell whether an answer is a secret: one that nobody asks for, by its name."""
		if path in self.secrets:
			return True
		if any(one.name == path or one.name.startswith(f"{path}.") for one in self.questions):
			return False
		if path in self.plain or isinstance(self._configured(path), Mapping) or not is_named_secret(path):
			return False
		self._hide([path])
		return True

	def constant(self, component: Component, field: str, default: Any = None) -> Any:
		"""Return a field's constant value; a complaint and the default where it is none."""
		return self.constant_of(component, component.get(field), default, field)

	def constant_of(self, component: Component, value: Any, default: Any = None, field: str = "") -> Any:
		"""Return a constant value of a component; a complaint and the default where it is none."""
		try:
			return default if value is None else constant(value, self.scope(component))
		except Unconverted as error:
			component.complain(str(error), field)
			return default

	def value(self, component: Component, value: Any, field: str = "", default: Any = None) -> Any:
		"""Return a constant or an Expr; a complaint and the default where the text has no equal."""
		try:
			return evaluated(value, self.scope(component))
		except Unconverted as error:
			component.complain(str(error), field)
			return default

	def template(
		self, component: Component, value: Any, writer: TemplateWriter, field: str = ""
	) -> str | None:
		"""Return a text of a request as our template, None after a complaint."""
		try:
			return writer.write(as_text(value, self.scope(component)))
		except Unconverted as error:
			component.complain(str(error), field)
			return None

	def number(self, component: Component, field: str) -> int | None:
		"""Return a field that is a whole number, None if it has none; a complaint where it is something else."""
		found = literal(self.constant(component, field))
		if found is None or found == "":
			return None
		if isinstance(found, bool) or not isinstance(found, int | float):
			component.complain(_("{0} is not a number", repr(found)[:40]), field)
			return None
		return int(found)

	def text(self, component: Component, field: str, default: str = "") -> str:
		"""Return a field's constant text, without secrets; a complaint and the default where one stands in it."""
		found = text_of(self.constant(component, field, default))
		if secret_names(found):
			component.complain(_("a secret stands in it, which only credentials may hold"), field)
			return default
		return found

	def plain_text(self, component: Component, field: str) -> str:
		"""Return a field that is no secret by its nature, such as a client's id, whatever the spec says."""
		try:
			scope = Scope({}, component.parameters, lambda path: True)
			names = secret_names(text_of(constant(component.get(field), scope)))
			self._reveal(names)
			return text_of(constant(component.get(field), self.scope(component)))
		except Unconverted as error:
			component.complain(str(error), field)
			return ""

	def _reveal(self, names: Sequence[str]) -> None:
		self.secrets -= set(names)
		self.plain |= set(names)
		self.questions = [replace(one, secret=False) if one.name in names else one for one in self.questions]
		self.config = config_of(self.questions, self.answers)

	def secret_text(self, component: Component, field: str) -> str:
		"""Return a field that is a secret by its nature: whatever answers stand in it are secrets from now on."""
		return self.secret_of(component, component.get(field), field)

	def secret_of(self, component: Component, value: Any, field: str = "") -> str:
		"""Return a value that is a secret by its nature, with marks in it."""
		try:
			found = constant(value, Scope(self.config, component.parameters, self._may_be_secret))
		except Unconverted as error:
			component.complain(str(error), field)
			return ""
		self._hide(secret_names(text_of(found)))
		return text_of(found)

	def _may_be_secret(self, path: str) -> bool:
		"""Tell whether an answer may be a secret: not one that is chosen, or that stands above others."""
		known = next((one for one in self.questions if one.name == path), None)
		if known:
			return known.secret or (known.kind in ("string", "number", "integer") and not known.choices)
		return not any(one.name.startswith(f"{path}.") for one in self.questions) and not isinstance(
			self._configured(path), Mapping
		)

	def _configured(self, path: str) -> Any:
		found: Any = self.config
		for key in path.split("."):
			found = found.get(key) if isinstance(found, Mapping) else None
		return found

	def _hide(self, names: Sequence[str]) -> None:
		known = {one.name for one in self.questions}
		for name in dict.fromkeys(names):
			if name not in known:
				self.questions.append(Question(name, label=name, secret=True, required=True))
		self.secrets |= set(names)
		self.questions = [replace(one, secret=True) if one.name in names else one for one in self.questions]


def is_known_later(value: Any) -> bool:
	"""Tell whether a value is known only while requests are made."""
	return isinstance(value, Expr)
