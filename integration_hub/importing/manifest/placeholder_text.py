"""Expressions within requests, written as templates with our placeholders."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from integration_hub.connectors.placeholders import escaped
from integration_hub.importing.manifest.expressions import Expr, Unconverted
from integration_hub.importing.manifest.jmespath_text import keys_of
from integration_hub.importing.manifest.secret_marks import secret_names
from integration_hub.lazy_messages import _

_FORMATS = {
	"%s": "epoch",
	"%ms": "epoch_ms",
	"%epoch_microseconds": "epoch_us",
	"%Y-%m-%d": "date",
	"%Y-%m-%dT%H:%M:%SZ": "iso",
}
_FILTERS = {
	"lower": "lower",
	"upper": "upper",
	"urlencode": "url",
	"base64encode": "base64",
	"string": "text",
}
_UNSAFE = re.compile(r"[{}|]")


@dataclass(frozen=True)
class Place:
	"""A placeholder to be written: its name, the format that applies unless another is asked for, its default."""

	name: str
	format: str = ""
	default: str = ""

	def text(self, format: str = "") -> str:
		"""Return the placeholder."""
		format = format or self.format
		return f"{{{self.name}{':' if format else ''}{format}{'|' if self.default else ''}{self.default}}}"


def time_format(format: str) -> str:
	"""Return a format of the CDK's as a placeholder has it. Raises Unconverted."""
	if format in _FORMATS:
		return _FORMATS[format]
	if _UNSAFE.search(format) or "%" not in format:
		raise Unconverted(_("{0!r} is not a format of times", format[:40]))
	return format.replace("%_ms", "%3f")


Find = Callable[[tuple[Any, ...]], Place]


@dataclass(frozen=True)
class TemplateWriter:
	"""Writes templates. names: what names of the manifest stand for, as functions of the keys that follow."""

	names: Mapping[str, Find]

	def write(self, found: Any) -> str:
		"""Return a constant or an expression as a template. Raises Unconverted."""
		if not isinstance(found, Expr):
			text = "" if found is None else str(found)
			if secret_names(text):
				raise Unconverted(_("a secret stands in it, which only credentials may hold"))
			return escaped(text)
		if found.op == "text":
			return "".join(self.write(part) for part in found.args)
		if found.op == "cond" and self._is_there(found.args[0]):
			return self.write(found.args[1])
		place, format = self.place(found)
		return place.text(format)

	def _is_there(self, test: Any) -> bool:
		"""Tell whether a condition only asks for a slice that each request has."""
		found = keys_of(test)
		if not found or found[0] != "slice":
			return False
		return not found[1] or self._named(*found).name in ("since", "until")

	def place(self, found: Expr) -> tuple[Place, str]:
		"""Return the placeholder of an expression and its format, "" for the place's own. Raises Unconverted."""
		if keys := keys_of(found):
			return self._named(*keys), ""
		method = getattr(self, f"_{found.op}", None)
		if method is None:
			raise Unconverted(_("{0} has no equal in a request", described(found)))
		return method(*found.args)

	def _named(self, name: str, keys: tuple[Any, ...]) -> Place:
		if name not in self.names:
			raise Unconverted(_("{0} is not within reach here", ".".join(map(str, (name, *keys)))))
		return self.names[name](keys)

	def _call(self, name: str, given: tuple[Any, ...]) -> tuple[Place, str]:
		if name == "format_datetime" and len(given) == 2 and isinstance(given[1], str):
			return self._of(given[0])[0], time_format(given[1])
		if name == "timestamp":
			return self._of(given[0])[0], "epoch"
		if name in ("now_utc", "today_utc", "str_to_datetime"):
			if name == "str_to_datetime":
				return self._of(given[0])
			return Place("now"), "date" if name == "today_utc" else "%Y-%m-%d %H:%M:%S.%f+00:00"
		raise Unconverted(_("the function {0}() has no equal in a request", name))

	def _method(self, base: Any, name: str, given: tuple[Any, ...]) -> tuple[Place, str]:
		if name == "strftime" and given and isinstance(given[0], str):
			return self._of(base)[0], time_format(given[0])
		if name == "timestamp":
			return self._of(base)[0], "epoch"
		if name in ("lower", "upper"):
			return self._of(base)[0], name
		raise Unconverted(_("the method {0}() has no equal in a request", name))

	def _filter(self, base: Any, name: str, given: tuple[Any, ...]) -> tuple[Place, str]:
		place, format = self._of(base)
		if name == "int" and format in ("epoch", ""):
			return place, format or "int"
		if name in _FILTERS and not format:
			return place, _FILTERS[name]
		raise Unconverted(_("the filter {0} has no equal in a request", name))

	def _default(self, base: Any, other: Any) -> tuple[Place, str]:
		place, format = self._of(base)
		text = "" if isinstance(other, Expr) else str(other)
		if not text or _UNSAFE.search(text):
			raise Unconverted(_("the default of {0} has no equal in a request", place.name))
		return Place(place.name, place.format, text), format

	_or = _default

	def _of(self, found: Any) -> tuple[Place, str]:
		if not isinstance(found, Expr):
			raise Unconverted(_("a constant is mixed with what is known later"))
		return self.place(found)


def describe_key(keys: tuple[Any, ...]) -> str:
	"""Return keys as a manifest writes them."""
	return ".".join(map(str, keys))


def described(found: Any) -> str:
	"""Return an expression for a person, short."""
	if not isinstance(found, Expr):
		return repr(found)[:60]
	if keys := keys_of(found):
		return describe_key((keys[0], *keys[1]))
	return f"{found.op}({', '.join(described(arg) for arg in found.args)})"[:200]
