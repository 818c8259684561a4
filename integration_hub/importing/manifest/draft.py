"""A stream as it comes about: settings, the lines of its request, and what names stand for in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from integration_hub.importing.manifest.components import Component
from integration_hub.importing.manifest.conversion import Conversion
from integration_hub.importing.manifest.expressions import Unconverted, text_of
from integration_hub.importing.manifest.placeholder_text import Place, TemplateWriter, describe_key
from integration_hub.lazy_messages import _

_PAGING = ("{page}", "{offset}", "{cursor}", "{page_size}")
Keys = tuple[Any, ...]


@dataclass
class Draft:
	"""One stream.

	places: the keys of `stream_slice` → the placeholder that says the same. paths: the same keys → where a record has
	it (JMESPath). virtual: fields that transformations add → JMESPath over the source's record; removed: those that
	they take away, removed_within: parts of objects that they take away. lists: lists of
	values by name. parent: the nearest parent stream. starts: the keys of
	the first slice's beginning → that time, as JMESPath. token: what stands for the next page in requests. state: the cursor's field → the placeholder of the watermark.
	"""

	name: str
	settings: dict[str, Any] = field(default_factory=dict)
	params: list[str] = field(default_factory=list)
	headers: list[str] = field(default_factory=list)
	json_body: dict[str, Any] = field(default_factory=dict)
	form_body: list[str] = field(default_factory=list)
	places: dict[Keys, Place] = field(default_factory=dict)
	paths: dict[Keys, str] = field(default_factory=dict)
	virtual: dict[str, str] = field(default_factory=dict)
	removed: set[str] = field(default_factory=set)
	removed_within: dict[str, list[list[str]]] = field(default_factory=dict)
	lists: dict[str, list[str]] = field(default_factory=dict)
	parent: Draft | None = None
	starts: dict[Keys, str] = field(default_factory=dict)
	token: Place | None = None
	state: dict[str, Place] = field(default_factory=dict)

	@property
	def writer(self) -> TemplateWriter:
		"""Return what writes the request's templates."""
		return TemplateWriter(
			{"slice": self._slice, "next_page_token": self._token, "stream_state": self._state}
		)

	def _state(self, keys: Keys) -> Place:
		if len(keys) == 1 and keys[0] in self.state:
			return self.state[keys[0]]
		raise Unconverted(_("{0} of the state is not known", describe_key(keys)))

	def _slice(self, keys: Keys) -> Place:
		keys = keys[1:] if keys[:1] == ("partition",) else keys
		for count in range(len(keys), 0, -1):
			known = self.places.get(keys[:count])
			if known and (count == len(keys) or known.name.startswith("parent.")):
				return replace(known, name=".".join((known.name, *map(str, keys[count:]))))
		raise Unconverted(_("{0} of the slice is not known", describe_key(keys)))

	def _token(self, keys: Keys) -> Place:
		if self.token is None:
			raise Unconverted(_("there is no pagination whose token it could be"))
		return self.token

	def path_of_slice(self, keys: Keys) -> str:
		"""Return where a record has a value of its slice. Raises Unconverted."""
		found = self._path_of_slice(keys)
		return f"^.{found}" if "flatten_path" in self.settings and found.startswith("^.") else found

	def _path_of_slice(self, keys: Keys) -> str:
		keys = keys[1:] if keys[:1] == ("partition",) else keys
		for count in range(len(keys), 0, -1):
			if self.paths.get(keys[:count]):
				return ".".join((self.paths[keys[:count]], *map(str, keys[count:])))
		if len(keys) == 1 and self.paths and not self.places.keys() & {keys}:
			return "''"  # what Jinja makes of a key that is not there
		raise Unconverted(_("{0} of the slice is not within reach of a record", describe_key(keys)))

	def inject(self, conversion: Conversion, option: Component, text: str) -> None:
		"""Put a text, which is a template, where a RequestOption says."""
		place = text_of(option.get("inject_into"))
		keys = option.get("field_path") or [option.get("field_name")]
		names = [text_of(conversion.constant_of(option, key, "", "field_name")) for key in keys]
		if not all(names) or place not in ("request_parameter", "header", "body_json", "body_data"):
			option.complain(_("{0!r} has no equal", place or "?"), "inject_into")
		elif place == "body_json":
			put(self.json_body, names, text)
		else:
			self.add(place, "".join((names[0], *(f"[{name}]" for name in names[1:]))), text)

	def add(self, place: str, name: str, text: str) -> None:
		"""Add a line to the query, the headers or a form."""
		lines = {"request_parameter": self.params, "header": self.headers, "body_data": self.form_body}[place]
		separator = ": " if place == "header" else "="
		lines[:] = [line for line in lines if not line.startswith(f"{name}{separator}") or separator == "="]
		lines.append(f"{name}{separator}{text}")

	def rename(self, old: str, new: str) -> None:
		"""Have a placeholder be another one in all that is injected so far."""
		for lines in (self.params, self.headers, self.form_body):
			lines[:] = [line.replace(old, new) for line in lines]
		self.json_body = json.loads(json.dumps(self.json_body).replace(old, new))

	@property
	def text(self) -> str:
		"""Return all of the request's templates."""
		endpoint = str(self.settings.get("endpoint", ""))
		body = json.dumps(self.json_body), str(self.settings.get("body", ""))
		return "\n".join((endpoint, *self.params, *self.headers, *self.form_body, *body))

	def uses(self, name: str) -> bool:
		"""Tell whether a placeholder stands in the request."""
		return any(f"{{{name}{end}" in self.text for end in ("}", ":", "|", "."))

	@property
	def pages_in_body(self) -> bool:
		"""Tell whether a body says which page is asked for: then nothing is sent by itself."""
		text = "\n".join((json.dumps(self.json_body), *self.form_body))
		return any(name in text for name in _PAGING)


def put(tree: dict[str, Any], keys: Sequence[str], value: Any) -> None:
	"""Put a value into a tree of objects."""
	*above, last = keys
	for key in above:
		found = tree.setdefault(key, {})
		tree = found if isinstance(found, dict) else {}
	tree[last] = value


def merged(tree: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
	"""Return two trees of objects as one; the other's values win."""
	found = dict(tree)
	for key, value in other.items():
		below = found.get(key)
		found[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
	return found
