"""Requests of a delivery: one step each, made from the stream's settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from integration_hub.connectors.bounded_jmespath import PathError, search
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.placeholders import Template, TemplateError, filled_tree, path_text, read_tree
from integration_hub.connectors.request_template import header_lines
from integration_hub.lazy_messages import _
from integration_hub.outbound.config import OutboundStream

Kind = Literal["create", "update", "delete", "disable", "look up", "read", "message"]
PLACEHOLDERS = ("id", "key", "operation", "event_type", "payload.", "doc.", "payload", "doc")


class NoValue(ConfigurationError):
	"""A path names something that this document does not hold."""


@dataclass(frozen=True)
class Step:
	"""One request. key: its idempotency key, "" for none. hash: of the payload that it says, as the record then holds.
	type: of a message.
	"""

	kind: Kind
	method: str
	path: str
	body: Any = None
	key: str = ""
	headers: Mapping[str, str] = field(default_factory=dict)
	hash: str = ""
	type: str = ""

	@property
	def frozen(self) -> str:
		"""Return the request as text, from which `thawed` makes it again."""
		return json.dumps(
			[self.kind, self.method, self.path, self.body, self.key, dict(self.headers), self.hash]
		)

	@property
	def shown(self) -> dict[str, Any]:
		"""Return what a person sees of the request."""
		told = {"method": self.method, "path": self.path, "headers": dict(self.headers), "body": self.body}
		return {name: value for name, value in told.items() if value not in (None, {})}


def thawed(text: str) -> Step:
	"""Return the request that `frozen` wrote down; raises ValueError for other text."""
	try:
		return Step(*json.loads(text))
	except TypeError as error:
		raise ValueError(str(error)) from None


class Requests:
	"""Makes the steps of a stream. Raises ConfigurationError, which names the field, for settings it cannot read."""

	def __init__(self, stream: OutboundStream) -> None:
		self.stream = stream
		self.body = (
			self._read("send_body", lambda: read_tree(json.loads(stream.send_body)))
			if stream.send_body
			else None
		)
		self.headers = [
			(name, self._read("headers", lambda value=value: Template.read(value)))
			for name, value in header_lines(stream.headers)
		]
		self.paths = {
			name: self._read(f"{name}_path", lambda text=text: Template.read(text))
			for name, text in {**stream.paths, "look up": stream.lookup_path}.items()
		}

	def make(
		self, kind: Kind, values: Mapping[str, Any], *, key: str = "", hash: str = "", body: Any = None
	) -> Step:
		"""Return the step of a kind. values: of the placeholders. body: instead of the mapped document."""
		place = {"disable": "update", "message": "create"}.get(kind, kind)
		method = {
			"create": self.stream.create_method,
			"message": self.stream.create_method,
			"update": self.stream.update_method,
			"disable": self.stream.update_method,
			"delete": self.stream.delete_method,
		}.get(kind, "GET")
		given = {**values, "key": key}
		given["event_type"] = self._type(given) if kind == "message" else ""
		sends = kind not in ("look up", "read", "delete")
		said = self._body({**given, "payload": body} if body is not None else given) if sends else None
		return Step(
			kind, method, self._path(place, given), said, key, self._headers(given), hash, given["event_type"]
		)

	def _type(self, values: Mapping[str, Any]) -> str:
		"""Return the type of a message: what the stream says, else the operation."""
		template = self._read("event_type", lambda: Template.read(self.stream.event_type or "{operation}"))
		return self._read("event_type", lambda: template.text(values)) or ""

	def _body(self, values: Mapping[str, Any]) -> Any:
		if self.body is None:
			return values["payload"]
		return self._read("send_body", lambda: filled_tree(self.body, values))

	def _path(self, place: str, values: Mapping[str, Any]) -> str:
		text = self._read(f"{place}_path", lambda: path_text(self.paths[place], values))
		if text is None:
			missing = ", ".join(str(one) for one in self.paths[place].placeholders)
			raise NoValue(_("{0} has no value here", missing), field=f"{place}_path".replace(" ", "_"))
		return text

	def _headers(self, values: Mapping[str, Any]) -> dict[str, str]:
		filled = ((name, template.text(values)) for name, template in self.headers)
		return {name: text for name, text in filled if text is not None}

	def _read(self, field: str, read: Any) -> Any:
		try:
			return read()
		except (TemplateError, ValueError) as error:
			raise ConfigurationError(f"{field}: {error}", field=field) from None


def at(path: str, answer: Any) -> Any:
	"""Return what an answer holds at a path, None where there is nothing. Raises ConfigurationError for a wrong path."""
	try:
		return search(path, answer) if path else answer
	except PathError as error:
		raise ConfigurationError(f"{path[:80]!r}: {error}") from None


def id_in(stream: OutboundStream, answer: Any, location: str, payload: Mapping[str, Any]) -> str:
	"""Return the record's id: in the answer, the last part of its Location, or what was sent at the same path; else ""."""
	record = at(stream.record_answer_path, answer)
	for found in (
		at(stream.id_path, record),
		unquote(urlsplit(location).path.rstrip("/").rpartition("/")[2]),
	):
		if isinstance(found, str | int) and not isinstance(found, bool) and found != "":
			return str(found)
	own = at(stream.id_path, dict(payload))
	return str(own) if isinstance(own, str | int) and own != "" else ""


def version_in(stream: OutboundStream, answer: Any, etag: str) -> str:
	"""Return the record's version: where the settings say, else its ETag, else ""."""
	if not stream.version_path:
		return etag
	found = at(stream.version_path, at(stream.record_answer_path, answer))
	return "" if found is None else str(found)


def found_in(stream: OutboundStream, answer: Any, payload: Mapping[str, Any]) -> list[str]:
	"""Return the ids of the records in the answer of a look-up that hold what the payload holds in the match field.

	A system that does not know the query answers with all it has: only what is equal counts.
	"""
	records = at(stream.lookup_records_path, answer)
	wanted = at(stream.lookup_match, dict(payload))
	if isinstance(records, dict):
		records = [records]
	if not isinstance(records, list) or wanted in (None, ""):
		return []
	same = (one for one in records if isinstance(one, dict) and _same(at(stream.lookup_match, one), wanted))
	return [str(id) for one in same if (id := at(stream.id_path, one)) not in (None, "")]


def _same(one: Any, two: Any) -> bool:
	return one is not None and str(one) == str(two)
