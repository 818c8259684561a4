"""An OpenAPI document: local references followed, schemas merged, operations listed; the same for 2.0, 3.0 and 3.1."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from integration_hub.importing.documents import ImportRefused
from integration_hub.lazy_messages import _

_DEEPEST = 20  # references to references, and parts of parts of schemas
_MOST_OPERATIONS = 2000
_VARIABLE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Operation:
	"""One GET operation. parameters: those of the path item too. answer: the schema of its success. item: the operation itself."""

	path: str
	item: Mapping[str, Any]
	parameters: tuple[Mapping[str, Any], ...] = ()
	answer: Mapping[str, Any] = field(default_factory=dict)
	headers: tuple[str, ...] = ()

	@property
	def title(self) -> str:
		"""Return the operation's id, else its path as a name."""
		return str(self.item.get("operationId") or _VARIABLE.sub("", self.path).strip("/") or "root")

	def named(self, wanted: str) -> bool:
		"""Tell whether a person means this operation: by id, path, or method and path."""
		return wanted in (self.title, self.path, f"GET {self.path}")

	def parameter(self, place: str) -> list[Mapping[str, Any]]:
		"""Return the parameters in `path`, `query` or `header`."""
		return [one for one in self.parameters if one.get("in") == place]


class Document:
	"""A document as it was read. Raises ImportRefused for one that is no OpenAPI."""

	def __init__(self, found: Mapping[str, Any]) -> None:
		self.found = found
		version = str(found.get("swagger") or found.get("openapi") or "")
		if not version.startswith(("2.", "3.")) or not isinstance(found.get("paths"), Mapping):
			raise ImportRefused(_("is no OpenAPI document of the versions 2.0, 3.0 or 3.1"))
		self.is_v2 = version.startswith("2.")

	def resolved(self, value: Any) -> Mapping[str, Any]:
		"""Return an object with its local reference followed; {} for what is none. Raises ImportRefused."""
		for _step in range(_DEEPEST):
			reference = value.get("$ref") if isinstance(value, Mapping) else None
			if not isinstance(reference, str):
				return value if isinstance(value, Mapping) else {}
			value = self._target(reference)
		raise ImportRefused(_("the reference {0} leads to itself", str(reference)[:100]))

	def _target(self, reference: str) -> Any:
		if not reference.startswith("#/"):
			raise ImportRefused(_("the reference {0} leads out of the document", reference[:100]))
		found: Any = self.found
		for part in reference[2:].split("/"):
			key = part.replace("~1", "/").replace("~0", "~")  # RFC 6901, 4
			if not isinstance(found, Mapping) or key not in found:
				raise ImportRefused(_("the reference {0} leads nowhere", reference[:100]))
			found = found[key]
		return found

	def schema(self, value: Any, depth: int = 0) -> dict[str, Any]:
		"""Return a schema with what it is all of merged into it; of several alternatives, the first."""
		found = dict(self.resolved(value))
		if depth > _DEEPEST:
			return found
		parts = [self.schema(part, depth + 1) for part in _list(found.pop("allOf", ()))]
		for name in ("oneOf", "anyOf"):
			parts += [self.schema(part, depth + 1) for part in _list(found.get(name))[:1]]
		for part in parts:
			properties = {**_mapping(part.get("properties")), **_mapping(found.get("properties"))}
			found = {**part, **found, **({"properties": properties} if properties else {})}
		return found

	def operations(self) -> Iterator[Operation]:
		"""Return the GET operations, in the order of the document."""
		for number, (path, item) in enumerate(self.found["paths"].items()):
			item = self.resolved(item)
			operation = self.resolved(item.get("get"))
			if operation and number < _MOST_OPERATIONS and isinstance(path, str):
				yield self._operation(path, item, operation)

	def _operation(self, path: str, item: Mapping[str, Any], operation: Mapping[str, Any]) -> Operation:
		given = [
			self.resolved(one)
			for one in (*_list(item.get("parameters")), *_list(operation.get("parameters")))
		]
		parameters = {(str(one.get("in")), str(one.get("name"))): one for one in given}
		answer = self._answer(operation)
		headers = tuple(str(name) for name in _mapping(answer.get("headers")))
		return Operation(path, operation, tuple(parameters.values()), self._answer_schema(answer), headers)

	def _answer(self, operation: Mapping[str, Any]) -> Mapping[str, Any]:
		answers = {str(status): one for status, one in _mapping(operation.get("responses")).items()}
		status = next((one for one in ("200", "2XX", "default") if one in answers), "")
		return self.resolved(answers.get(status))

	def _answer_schema(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
		if self.is_v2:
			return self.schema(answer.get("schema"))
		content = _mapping(answer.get("content"))
		kind = next((one for one in content if "json" in str(one).lower()), "")
		return self.schema(_mapping(content.get(kind)).get("schema"))

	def base_url(self) -> str:
		"""Return the address that the document names, "" where it names none."""
		if self.is_v2:
			host, schemes = str(self.found.get("host") or ""), _list(self.found.get("schemes")) or ["https"]
			scheme = "https" if "https" in schemes else str(schemes[0])
			return f"{scheme}://{host}{self.found.get('basePath') or ''}".rstrip("/") if host else ""
		server = self.resolved(next(iter(_list(self.found.get("servers"))), None))
		variables = _mapping(server.get("variables"))
		url = _VARIABLE.sub(
			lambda found: _usual(variables.get(found[1]), found[0]), str(server.get("url") or "")
		)
		return url.rstrip("/") if urlsplit(url).scheme in ("http", "https") else ""


def _usual(variable: Any, name: str) -> str:
	return str(_mapping(variable).get("default", name))


def _list(value: Any) -> list[Any]:
	return list(value) if isinstance(value, list | tuple) else []


def _mapping(value: Any) -> Mapping[str, Any]:
	return value if isinstance(value, Mapping) else {}
