"""Events, read from bodies: their id, their type, and which route they take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import Any, Literal

from integration_hub.connectors.bounded_jmespath import PathTooCostly
from integration_hub.connectors.config import IntegrationConfig, typed_values
from integration_hub.connectors.credential_headers import kept_names, proves
from integration_hub.connectors.header_fields import header_mentions
from integration_hub.connectors.known_secrets import KnownSecrets
from integration_hub.connectors.redact import MASK
from integration_hub.stores.ids import new_id
from integration_hub.stores.inbox import Event
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import child_rows
from integration_hub.sync.stream_slices import OUTER
from integration_hub.webhooks.bodies import json_text, plain_json
from integration_hub.webhooks.cloud_events import is_binary
from integration_hub.webhooks.conditions import holds
from integration_hub.webhooks.identity import Identity, identify, places_of, scalar
from integration_hub.webhooks.places import Places
from integration_hub.webhooks.schemes.base import Everything, Scheme
from integration_hub.webhooks.schemes.signed_content import covers

_SHOWN_HEADERS = ("content-type", "user-agent", "date")
_MAX_ORDERING_KEY = 140
_LONGEST_HEADER = 2000  # characters that are kept of one


@dataclass(frozen=True)
class Route:
	"""One row of the routes table."""

	event_pattern: str = "*"
	action: str = "Upsert Record"
	stream: str = ""
	record_path: str = ""
	condition: str = ""
	record_id_path: str = ""
	delete_if_gone: bool = False
	handler: str = ""
	server_script: str = ""
	go_on: bool = False

	@cached_property
	def headers(self) -> tuple[str, ...]:
		"""Return the headers that its condition and paths name."""
		return header_mentions(f"{self.condition}\n{self.record_path}\n{self.record_id_path}")

	@cached_property
	def title(self) -> str:
		"""Return what the route does with what, as an attempt tells of it."""
		return (
			f"{self.event_pattern}: {self.action} {self.stream or self.handler or self.server_script}".strip()
		)


@dataclass(frozen=True)
class Content:
	"""One event of a body: the text that is kept of it, and what the paths of the settings look into.

	hash: of its own text. default_id: what stands in for an id. is_part: is it one of several of a body? problem: why a
	person has to look at it. borne: its attributes were headers.
	"""

	text: str
	payload: Any
	hash: str
	default_id: str = ""
	is_part: bool = False
	problem: str = ""
	borne: bool = False

	def kept(self, keep_outer: bool) -> Any:
		"""Return the payload as it is kept, for what is looked up in it once more when the event is handled."""
		if keep_outer or not (self.is_part and isinstance(self.payload, dict)):
			return self.payload
		return {name: value for name, value in self.payload.items() if name != OUTER}


def read_event(
	config: IntegrationConfig,
	body: bytes,
	payload: Any,
	routes: Sequence[Route],
	endpoint: Literal["HTTP", "Queue"],
	headers: Mapping[str, str] | None = None,
	default_id: str = "",
	places: Places = Places(),  # noqa: B008 - frozen
	scheme: Scheme | None = None,
	known: KnownSecrets | None = None,
) -> Event:
	"""Make one event of a body and what was parsed of it.

	The id is where the settings say it is, else where the scheme does; without one, `default_id`, else the hash
	of the body, which also stands in for the parts that are missing. The type likewise; a queue message names it in
	`type` first.

	known: secrets, which no header that is kept shows. An id in a header that is not signed may have been used by somebody else: then another body is another event.
	"""
	rules = EventRules(config, routes, scheme=scheme, known=known, places=places)
	reader = EventReader(rules, endpoint, headers or {})
	return reader.read(reader.whole(body, payload, default_id))


class EventRules:
	"""Rules by which events are read, put together of the settings once for many of them.

	places: where an event has its id, type and time. kept: the headers that it keeps. signed: those that the sender signs.
	signed_paths: what it signs of the body.
	"""

	def __init__(
		self,
		config: IntegrationConfig,
		routes: Sequence[Route],
		*,
		scheme: Scheme | None = None,
		known: KnownSecrets | None = None,
		places: Places = Places(),  # noqa: B008 - frozen
	) -> None:
		self.config, self.routes, self.scheme, self.known = config, routes, scheme, known
		self.places = places_of(config, scheme.places if scheme else places)
		self.signed = scheme.signed_headers if scheme else ()
		self.signed_paths = scheme.signed_paths if scheme else Everything()
		self.other_body = config.same_id_other_body or (scheme.same_id if scheme else "Conflict")
		self.kept = _kept_names(config, self.places, routes)


class EventReader:
	"""Makes events of what one request or message holds."""

	def __init__(
		self, rules: EventRules, endpoint: Literal["HTTP", "Queue"], headers: Mapping[str, str]
	) -> None:
		self.rules, self.endpoint, self.headers = rules, endpoint, headers
		self.config, self.known = rules.config, rules.known
		self.kept = _kept_headers(rules, headers)
		self._kept_text = plain_json(self.kept) if self.kept else ""

	def whole(self, body: bytes, payload: Any, default_id: str = "", problem: str = "") -> Content:
		"""Return a body as one event."""
		body_hash = hashlib.sha256(body).hexdigest()
		borne = bool(self.config.event_format) and is_binary(self.headers)
		return Content(_text(body, payload), payload, body_hash, default_id, problem=problem, borne=borne)

	def read(self, content: Content) -> Event:
		"""Return the event that a content is. Raises PathTooCostly."""
		config, rules, payload = self.config, self.rules, content.payload
		found = identify(self.headers, payload, rules.places, rules.signed)
		named = scalar(payload, "type") if self.endpoint == "Queue" else ""
		event_type = (named or found.event_type)[:140]
		event_id = _event_id(config, found, content)
		if content.borne:
			self._note_borne(found)
		self._note_parts(found)
		unrouted, key = self._routed(event_type, content.kept(config.keep_outer))
		checked = rules.scheme and "type" in found.unsigned
		misfit = rules.scheme.misfit(event_type, payload) if checked else ""
		return Event(
			integration=config.name,
			event_id=event_id,
			event_type=event_type,
			payload=content.text,
			body_hash=content.hash,
			door=self.endpoint,
			headers=self._kept_text,
			unrouted=unrouted,
			ordering_key=ordering_key(scalar(payload, config.ordering_key_path, self.headers) or key),
			other_body="New" if "id" in found.unsigned else rules.other_body,
			event_time=found.time,
			unsigned=", ".join(found.unsigned),
			held=content.problem or misfit,
		)

	def held(self, content: Content, problem: str) -> Event:
		"""Return an event that a person has to look at, kept under nothing but its hash."""
		return Event(
			integration=self.config.name,
			event_id=content.hash,
			event_type="",
			payload=content.text,
			body_hash=content.hash,
			door=self.endpoint,
			held=problem,
		)

	def _routed(self, event_type: str, payload: Any) -> tuple[bool, str]:
		"""Tell whether no route fits, and return what is fetched: of two fetches of a record the later one counts."""
		try:
			found = routes_for(self.rules.routes, event_type, lambda: (payload, self.kept))
			fetch = next((route for route in found if route.action == "Fetch Record"), None)
			named = scalar(payload, fetch.record_id_path, self.kept) if fetch else ""
		except PathTooCostly:  # which fails, for all to see, where the event is handled
			return False, ""
		return not found, f"{fetch.stream} | {named}" if fetch and named else ""

	def _note_borne(self, found: Identity) -> None:
		"""Note what an event has in its `ce-` headers as unsigned, unless they are as proven as the body."""
		if not all(name in self.rules.signed for name in self.headers if name.startswith("ce-")):
			found.unsigned = ["id", "type", "time"]

	def _note_parts(self, found: Identity) -> None:
		"""Note a type and a time that stand in the body, where the signature covers other parts of it.

		An id stays what it is: with another body under it the event waits for a person, and is no second one.
		"""
		places = self.rules.places
		looked = (
			("type", places.type_headers, places.type_path),
			("time", places.time_headers, places.time_path),
		)
		for what, headers, path in looked:
			within = path and not any(self.headers.get(name) for name in headers)
			if within and what not in found.unsigned and not covers(self.rules.signed_paths, path):
				found.unsigned.append(what)


def _kept_headers(rules: EventRules, headers: Mapping[str, str]) -> dict[str, str]:
	"""Return the headers that an event keeps: a few for all, those that tell what it is, and those a person lists."""
	shown = {name: headers[name] for name in _SHOWN_HEADERS if headers.get(name)}
	for name in rules.kept:
		if value := headers.get(name):
			secret = rules.known is not None and rules.known.stands_in(value)
			shown[name] = MASK if secret else value[:_LONGEST_HEADER]
	return shown


def _kept_names(config: IntegrationConfig, places: Places, routes: Sequence[Route]) -> tuple[str, ...]:
	"""Return the headers that an integration's events keep besides those that all do: none that proves who sends."""
	told = [*places.id_headers, *places.type_headers, *places.time_headers, *kept_names(config)]
	told += (name for route in routes for name in route.headers)
	for path in (places.id_path, places.type_path, places.time_path, config.ordering_key_path):
		told += header_mentions(path)
	return tuple(n for n in dict.fromkeys(told) if n not in _SHOWN_HEADERS and not proves(n, config))


def _event_id(config: IntegrationConfig, found: Identity, content: Content) -> str:
	source, stands_in = config.event_id_source, content.default_id or content.hash
	if found.event_id and source in ("Header or Path", "Header and Path"):
		own = found.complete and not (content.is_part and found.of_delivery)
		return (
			found.event_id if own else f"{found.event_id} | {stands_in if content.is_part else content.hash}"
		)
	found.unsigned = [what for what in found.unsigned if what != "id"]  # it is made here
	if source == "Hash of Body":
		return stands_in if content.is_part else content.hash
	if source == "Each Delivery Is an Event" and not _is_named_delivery(content):
		return new_id()
	return stands_in


def _is_named_delivery(content: Content) -> bool:
	"""Tell whether a queue has named the delivery; what stands in for the id of an element alone is no name of one."""
	return " | " in content.default_id if content.is_part else bool(content.default_id)


def ordering_key(value: str) -> str:
	"""Return what the inbox keeps of an ordering key: its hash if it is longer than the column."""
	return value if len(value) <= _MAX_ORDERING_KEY else hashlib.sha256(value.encode()).hexdigest()


def _text(body: bytes, payload: Any) -> str:
	"""Return a JSON body as it came; anything else as the JSON it was read as."""
	text = body.decode("utf-8", "replace")
	if text.lstrip()[:1] in ("{", "["):
		return text
	return json_text(payload)


def load_routes(runtime: Runtime, integration: str) -> list[Route]:
	"""Return an integration's routes, in their order."""
	rows = child_rows(runtime.db, "Webhook Route", integration)
	# What is empty is as the checks of settings take it: the default.
	given = ({name: value for name, value in row.items() if value not in (None, "")} for row in rows)
	return [Route(**typed_values(Route, row)) for row in given]


Facts = Callable[[], tuple[Any, Mapping[str, str]]]


def route_for(routes: Sequence[Route], event_type: str, facts: Facts | None = None) -> Route | None:
	"""Return the first route whose pattern fits (exact, `order.*`, `*`), and whose condition is true.

	facts: gives the payload and the headers that are kept, where a condition asks. Without it each condition is true.
	"""
	return next(_fitting(routes, event_type, facts), None)


def routes_for(routes: Sequence[Route], event_type: str, facts: Facts | None = None) -> tuple[Route, ...]:
	"""Return the routes that act on an event, in their order: the first that fits, and the next as long as each goes on."""
	found: list[Route] = []
	for route in _fitting(routes, event_type, facts):
		found.append(route)
		if not route.go_on:
			break
	return tuple(found)


def _fitting(routes: Sequence[Route], event_type: str, facts: Facts | None) -> Iterator[Route]:
	look = cache(facts) if facts and any(route.condition for route in routes) else None
	for route in routes:
		if _fits(route.event_pattern, event_type) and (
			not (route.condition and look) or holds(route.condition, *look())
		):
			yield route


def _fits(pattern: str, event_type: str) -> bool:
	return pattern == event_type or fnmatchcase(event_type, _literal(pattern))


def _literal(pattern: str) -> str:
	"""Return the pattern with all but `*` taken literally."""
	return pattern.replace("[", "[[]").replace("?", "[?]")
