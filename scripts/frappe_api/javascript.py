"""Uses of Frappe's JavaScript in the app's browser scripts, by name.

JavaScript is not parsed: a name counts as defined if Frappe's own scripts use it so, or define it beside its parent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
_CHAIN = re.compile(r"(?<![\w.$\"'`])(?:window\.)?(frappe(?:\.[A-Za-z_$][\w$]*)+)")
_CALL = re.compile(r"(?<![\w.$])(frm|listview|dialog|page)((?:\.[A-Za-z_$][\w$]*)+)\(")
_PATH = re.compile(r"[\"'`](frappe(?:\.\w+){2,})[\"'`]")
_DEFINED = re.compile(
	r"(?:^|[\s,{.;])(?:async\s+|static\s+|get\s+|\*\s*)?([A-Za-z_$][\w$]*)\s*(?:\(|:|=(?!=))"
)
_SUFFIXES = (".js", ".html", ".vue")
# Where the methods of what a script is given are defined.
_GIVEN = {
	"frm": ("form", "views", "ui"),
	"listview": ("list", "views"),
	"dialog": ("ui", "form", "views"),
	"page": ("ui", "views"),
}


class Scripts:
	"""Frappe's own scripts."""

	def __init__(self, package: Path):
		self.package = package

	@cached_property
	def texts(self) -> dict[Path, str]:
		files = (
			f for f in self.package.rglob("*") if f.suffix in _SUFFIXES and "node_modules" not in f.parts
		)
		return {f: f.read_text(errors="replace") for f in files if "/dist/" not in str(f) and f.is_file()}

	@cached_property
	def chains(self) -> set[str]:
		"""Every dotted name that occurs, and what it begins with."""
		found = {chain for text in self.texts.values() for chain in _CHAIN.findall(text)}
		return {
			".".join(parts[:n])
			for chain in found
			if (parts := chain.split("."))
			for n in range(1, len(parts) + 1)
		}

	def defines(self, chain: str) -> bool:
		"""Tell whether a dotted name is one of Frappe's."""
		if chain in self.chains:
			return True
		parent, _, name = chain.rpartition(".")
		makes = re.compile(
			rf"{re.escape(parent)}\s*(?:=|,)|provide\([\"']{re.escape(parent)}[\"']\)|extend\({re.escape(parent)}\b"
		)
		return any(makes.search(text) and name in _DEFINED.findall(text) for text in self.texts.values())

	def method(self, given: str, names: list[str]) -> bool:
		"""Tell whether what a script is given has a method of the last of some names."""
		return any(names[-1] in self._methods(place) for place in _GIVEN[given]) or names[-1] in _LANGUAGE

	def _methods(self, place: str) -> set[str]:
		if place not in self._found:
			inside = self.package / "public/js/frappe" / place
			self._found[place] = {
				name
				for f, text in self.texts.items()
				if inside in f.parents
				for name in _DEFINED.findall(text)
			}
		return self._found[place]

	@cached_property
	def _found(self) -> dict[str, set[str]]:
		return {}


# Methods of the language and of jQuery, which end many a chain.
_LANGUAGE = frozenset(
	[
		"find",
		"filter",
		"map",
		"forEach",
		"some",
		"every",
		"includes",
		"join",
		"push",
		"on",
		"off",
		"one",
		"html",
		"text",
		"addClass",
		"removeClass",
		"toggleClass",
		"append",
		"prepend",
		"show",
		"hide",
		"toggle",
		"empty",
		"remove",
		"attr",
		"prop",
		"css",
		"val",
		"is",
		"closest",
		"click",
		"focus",
		"then",
		"catch",
		"finally",
		"get",
		"get_value",
		"split",
		"trim",
		"replace",
		"has",
		"set",
		"keys",
		"slice",
		"sort",
		"hasClass",
		"data",
		"before",
		"after",
		"each",
	]
)


def uses(file: Path) -> Iterator[tuple[int, str, str, list[str]]]:
	"""Return (line, kind, text, names) for what a script uses: kind is a name, a method, or a path of Python's."""
	text = _COMMENT.sub(lambda m: "\n" * m.group(0).count("\n"), file.read_text())
	for match in _CHAIN.finditer(text):
		yield _line(text, match), "name", match.group(1), []
	for match in _CALL.finditer(text):
		yield _line(text, match), "method", match.group(1), match.group(2)[1:].split(".")
	for match in _PATH.finditer(text):
		yield _line(text, match), "path", match.group(1), []


def _line(text: str, match: re.Match[str]) -> int:
	return text.count("\n", 0, match.start()) + 1
