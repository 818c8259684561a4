"""Records of a response in XML, read element by element, with defusedxml: entities and DTDs are refused.

An element is an object of its children, by their names without a namespace; several of one name are a list. Attributes
are at `@name`, text beside children or attributes at `#text`; an element of text alone is that text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError

from integration_hub.connectors.errors import MalformedAnswer, RefusedWithin
from integration_hub.connectors.responses import refuses, shape

_DEEPEST = 100
_MOST_ELEMENTS = 200_000  # within a record, and around the records


class XMLRecords:
	"""The records of a file. Behind the last one, `answer` is what stands around them."""

	def __init__(self, file: IO[bytes], path: str, charset: str = "") -> None:
		self._file, self._path, self._charset = file, path.split("."), charset
		self.answer: Any = None
		self._count, self._has_place = 0, False

	def check_empty(self, is_optional: bool) -> None:
		"""Refuse a file without records that is no empty list: it says that it failed, or has no place for them.

		is_optional: there need not be a place. Raises RefusedWithin and MalformedAnswer.
		"""
		if self._count:
			return
		if any(refuses(root) for root in self.answer.values()):
			raise RefusedWithin()
		if not (self._has_place or is_optional):
			path = ".".join(self._path)
			raise MalformedAnswer(
				f"records_path {path}: there is no list at this path; {shape(self.answer)}."
			)

	def _is_place(self, names: list[str], element: Element) -> bool:
		"""Tell whether an element holds the records, or is one on the way to them that is empty."""
		is_empty = not len(element) and value_of(element) is None
		return names == self._path[:-1] or (is_empty and names == self._path[: len(names)])

	def __iter__(self) -> Iterator[dict[str, Any]]:
		from defusedxml.common import DefusedXmlException

		try:
			yield from self._records()
		except DefusedXmlException:
			raise MalformedAnswer("The XML has a DTD or entities, which are refused.") from None
		except (ParseError, LookupError, ValueError) as error:
			raise MalformedAnswer(f"It is not XML, or is cut off ({_first(error)}).") from None

	def _records(self) -> Iterator[dict[str, Any]]:
		from defusedxml.ElementTree import DefusedXMLParser, iterparse

		parser = DefusedXMLParser(encoding=self._charset or None, forbid_dtd=True)
		above: list[Element] = []
		kept = 0
		for event, element in iterparse(self._file, ("start", "end"), parser):
			if event == "start":
				above.append(element)
				kept = _counted(kept + 1, len(above))
				continue
			names = [_name(each.tag) for each in above]
			above.pop()
			if names == self._path:
				self._count += 1
				kept -= sum(1 for _each in element.iter())
				yield _object(element)
				_drop(element, above)
				continue
			self._has_place = self._has_place or self._is_place(names, element)
			if not above:
				self.answer = {_name(element.tag): value_of(element)}


def nested(records: list[dict[str, Any]], path: str) -> Any:
	"""Return records as they stand in an answer, below a path of names."""
	found: Any = records
	for name in reversed(path.split(".")):
		found = {name: found}
	return found


def value_of(element: Element) -> Any:
	"""Return an element as JSON would have it: text, None where it is empty, or an object."""
	found: dict[str, Any] = {f"@{_name(name)}": value for name, value in element.attrib.items()}
	for child in element:
		_add(found, _name(child.tag), value_of(child))
	text = (element.text or "").strip()
	if not found:
		return text or None
	return {**found, "#text": text} if text else found


def _object(element: Element) -> dict[str, Any]:
	found = value_of(element)
	return found if isinstance(found, dict) else {"#text": found}


def _add(found: dict[str, Any], name: str, value: Any) -> None:
	if name not in found:
		found[name] = value
	elif isinstance(found[name], list):
		found[name].append(value)
	else:
		found[name] = [found[name], value]


def _drop(element: Element, above: list[Element]) -> None:
	"""Take a record out of what is kept in memory."""
	element.clear()
	if above:
		above[-1].remove(element)


def _counted(kept: int, depth: int) -> int:
	if depth > _DEEPEST:
		raise MalformedAnswer(f"The XML is nested deeper than {_DEEPEST} levels.")
	if kept > _MOST_ELEMENTS:
		raise MalformedAnswer(
			f"The XML has more than {_MOST_ELEMENTS} elements in a record, or beside the records: is Records Path "
			"(records_path) right?"
		)
	return kept


def _name(tag: Any) -> str:
	"""Return the name of an element or attribute without its namespace."""
	return str(tag).rpartition("}")[2]


def _first(error: Exception) -> str:
	return str(error).splitlines()[0][:80] if str(error) else type(error).__name__
