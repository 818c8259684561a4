"""XML bodies, read as trees of objects, lists and text: without a document type, so without entities, and bounded.

An element is an object of its children, text if it has none; of several with one name, a list. Names are local ones:
prefixes and their declarations go. Attributes are at `@name`, text beside attributes or children at `#text`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

from integration_hub.webhooks.encodings import checked_charset

_DEEPEST = 100  # levels
_MOST_NODES = 200_000  # elements and attributes
_DECLARED = re.compile(rb"""<\?xml[^>]{1,200}?\bencoding\s*=\s*["']([\w.-]{1,40})["']""")
Tree = dict[str, Any]


class BadXML(ValueError):
	"""The body is not XML that is read. The text is a reason word."""


def read_xml(text: str) -> Tree:
	"""Return the tree of a document, its root element by name; raises BadXML.

	A document type is refused, whatever it declares: entities are what makes XML expand and read files
	(https://cheatsheetseries.owasp.org/cheatsheets/XML_External_Entity_Prevention_Cheat_Sheet.html).
	"""
	reader = _Reader()
	# Text is given as UTF-8, whatever the declaration says that it was.
	parser = expat.ParserCreate("utf-8")
	parser.buffer_text, parser.ordered_attributes = True, False
	parser.StartElementHandler, parser.EndElementHandler = reader.begin, reader.end
	parser.CharacterDataHandler = reader.text
	parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse
	parser.SkippedEntityHandler = parser.ExternalEntityRefHandler = _refuse
	try:
		parser.Parse(text.encode(), True)
	except (expat.ExpatError, UnicodeEncodeError):
		raise BadXML("body_not_xml") from None
	return reader.root


def declared_charset(body: bytes) -> str:
	"""Return the charset that a document says it is in, utf-8 if it says nothing; raises UnsupportedMedia."""
	if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
		return "utf-16"
	found = _DECLARED.search(body[:300])
	return checked_charset(found[1].decode()) if found else "utf-8"


class _Reader:
	"""Builds a tree of what a parser meets."""

	def __init__(self) -> None:
		self.root: Tree = {}
		self._open: list[Tree] = [self.root]
		self._texts: list[list[str]] = [[]]
		self._nodes = 0

	def begin(self, name: str, attributes: Mapping[str, str]) -> None:
		self._nodes += 1 + len(attributes)
		if len(self._open) > _DEEPEST or self._nodes > _MOST_NODES:
			raise BadXML("body_too_deep" if len(self._open) > _DEEPEST else "body_has_too_many_elements")
		own = {f"@{_local(key)}": value for key, value in attributes.items() if not _declares(key)}
		self._open.append(own)
		self._texts.append([])

	def end(self, name: str) -> None:
		element, text = self._open.pop(), "".join(self._texts.pop()).strip()
		if element and text:
			element["#text"] = text
		_add(self._open[-1], _local(name), element or text)

	def text(self, text: str) -> None:
		self._texts[-1].append(text)


def _refuse(*_given: Any) -> None:
	raise BadXML("body_has_document_type")


def _local(name: str) -> str:
	return name.rpartition(":")[2]


def _declares(attribute: str) -> bool:
	return attribute == "xmlns" or attribute.startswith("xmlns:")


def _add(parent: Tree, name: str, value: Any) -> None:
	if name not in parent:
		parent[name] = value
	elif isinstance(parent[name], list):
		parent[name].append(value)
	else:
		parent[name] = [parent[name], value]
