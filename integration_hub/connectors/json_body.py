"""Bodies in JSON: the list of records at a path, and the answer around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import requests

from integration_hub.connectors.answer_shape import lists_in, name_path
from integration_hub.connectors.bounded_jmespath import PathError, computes
from integration_hub.connectors.completeness_doubt import Doubt
from integration_hub.connectors.errors import MalformedAnswer, RefusedWithin
from integration_hub.connectors.known_secrets import KnownSecrets, is_secret
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.pagination import found_at
from integration_hub.connectors.records_path import is_there, spine, wildcard_parts
from integration_hub.connectors.responses import refuses, shape

if TYPE_CHECKING:
	from integration_hub.connectors.base import BaseConnector

Record = dict[str, Any]
_NO_CONTENT = (204, 205)
_LISTS = 5  # lists that a complaint names


class JSONBody:
	"""The body of one response in JSON. counted: what the source's pages count, its records or the lists of them."""

	doubt: Doubt | None = None

	def __init__(self, connector: BaseConnector, response: requests.Response, request: ListRequest) -> None:
		self.answer = connector.parse(response)
		self._response, self._request = response, request
		self._records: list[Record] = []
		self.counted: Sequence[Any] = ()

	def begin(self, known: KnownSecrets) -> None:
		"""Find the records. Raises MalformedAnswer where there is no list, or a secret stands in what is computed with."""
		_check_answer(self.answer, self._request, known)
		self.counted, self._records = _records(self._response, self.answer, self._request)

	def repeats(self, previous: Any, id_path: str) -> bool:
		"""Tell whether the page is the one before it: record for record, or by the ids of its records."""
		return isinstance(previous, JSONBody) and _is_same(self._records, previous._records, id_path)

	def parts(self) -> Iterator[Sequence[Record]]:
		"""Return the records, all of them at once."""
		yield self._records


def _check_answer(answer: Any, request: ListRequest, known: KnownSecrets) -> None:
	"""Refuse an answer in which a secret stands, where an expression makes something of the whole of it.

	Turned round it would be no secret that is known, and a comparison tells whether a guess is right.
	"""
	paths = {"records_path": request.records_path, **request.pagination}
	for field in ("records_path", "cursor_path", "more_path"):
		path = str(paths.get(field) or "")
		if path and _computes(path) and known.stands_in_any(answer):
			raise MalformedAnswer(f"{field}: {is_secret()}")


def _computes(path: str) -> bool:
	try:
		return computes(path)
	except PathError:
		return False  # the name of a header, or what the look-up will refuse


def _is_same(records: list[dict[str, Any]], previous: list[dict[str, Any]] | None, id_path: str) -> bool:
	"""Tell whether a page is the one before it: record for record, or by the ids of its records."""
	if not records or not previous or len(records) != len(previous):
		return False
	if records == previous:
		return True
	ids = [record.get(id_path) for record in records] if id_path else [None]
	return None not in ids and ids == [record.get(id_path) for record in previous]


def _records(
	response: requests.Response, answer: Any, request: ListRequest
) -> tuple[Sequence[Any], list[Record]]:
	"""Return what the pages count, and the records of an answer; raises MalformedAnswer where it holds no list of them."""
	if getattr(response, "ignored_status", 0):
		return [], []
	if not response.content.strip():
		if response.status_code in _NO_CONTENT:
			return [], []
		raise MalformedAnswer("The response is empty.")
	if wildcard_parts(request.records_path):
		return _within_each(answer, request.records_path, request.records_optional)
	records = find_records(answer, request.records_path, request.records_optional)
	return records, records


def _within_each(
	answer: Any, records_path: str, is_optional: bool = False
) -> tuple[Sequence[Any], list[Record]]:
	"""Return the elements at the first `*` of a path, and the records in all of them."""
	before, *steps = wildcard_parts(records_path)
	outer = found_at(answer, before, "records_path") if before else answer
	if not outer and refuses(answer):
		raise RefusedWithin()
	if outer is None and (is_optional or answer is None or is_there(before, answer)):
		return [], []
	elements = _elements(outer, records_path)
	found = elements
	for number, names in enumerate(steps):
		found = [
			inner for each in found for inner in _inner(each, names, number < len(steps) - 1, records_path)
		]
	if not all(isinstance(record, dict) for record in found):
		raise MalformedAnswer(f"records_path {records_path}: a record is not an object.")
	return elements, found


def _inner(each: Any, names: str, is_between: bool, records_path: str) -> list[Any]:
	"""Return what is at names below an element: the elements of a list, or of `*` behind it; none where it is null."""
	if not names:
		return _elements(each, records_path) if is_between else [each]
	if each is not None and not isinstance(each, dict):
		raise MalformedAnswer(
			f"records_path {records_path}: a * stands for what is no object; {shape(each)}."
		)
	found = found_at(each, names, "records_path") if each else None
	if found is None:
		return []
	if not is_between and isinstance(found, dict):
		return [found]
	return _elements(found, records_path)


def _elements(value: Any, records_path: str) -> list[Any]:
	if not isinstance(value, list | dict):
		raise MalformedAnswer(
			f"records_path {records_path}: a * stands for no list or object; {shape(value)}."
		)
	return list(value.values()) if isinstance(value, dict) else value


def _nearer(answer: Any, path: str) -> str:
	"""Return which keys there are as far as a path leads, and where lists of records are, to go on with `; `."""
	names, here = [], answer
	for name in spine(path):
		if not isinstance(here, dict) or name not in here:
			break
		names, here = [*names, name], here[name]
	said = []
	if names:
		said.append(shape(here, repr(name_path(*names))))
	if lists := [place.path or "the whole answer" for place in lists_in(answer) if place.records][:_LISTS]:
		said.append(f"records are at {', '.join(lists)}")
	return "".join(f"; {part}" for part in said)


def find_records(answer: Any, records_path: str, is_optional: bool = False) -> list[dict[str, Any]]:
	"""Return the list of objects at `records_path`, none where it is null.

	is_optional: none also where nothing is there, and one object is a list of one.

	Raises MalformedAnswer if there is no list, RefusedWithin if the answer says that it failed and holds no records.
	"""
	if wildcard_parts(records_path):
		return _within_each(answer, records_path, is_optional)[1]
	found = found_at(answer, records_path, "records_path") if records_path else answer
	place = f"records_path {records_path or '(whole answer)'}"
	if not found and refuses(answer):
		raise RefusedWithin()
	if found is None and (answer is None or is_there(records_path, answer)):
		return []
	if is_optional and not isinstance(found, list | str | int | float):
		found = [found] if found else []
	if not isinstance(found, list):
		raise MalformedAnswer(
			f"{place}: there is no list at this path; {shape(answer)}{_nearer(answer, records_path)}."
		)
	if not all(isinstance(record, dict) for record in found):
		raise MalformedAnswer(f"{place}: a record is not an object.")
	return found
