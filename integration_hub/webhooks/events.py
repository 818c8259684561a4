"""Events, read from bodies: their id, their type, and which route they take."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Any, Literal

from integration_hub.connectors.config import IntegrationConfig, typed_values
from integration_hub.connectors.credential_headers import kept_names, proves
from integration_hub.connectors.known_secrets import KnownSecrets
from integration_hub.connectors.redact import MASK
from integration_hub.stores.ids import new_id
from integration_hub.stores.inbox import Event
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import child_rows
from integration_hub.webhooks.identity import Identity, identify, places_of, scalar
from integration_hub.webhooks.places import Places
from integration_hub.webhooks.schemes.base import Scheme

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
	handler: str = ""
	server_script: str = ""

	@cached_property
	def title(self) -> str:
		"""Return what the route does with what, as an attempt tells of it."""
		return (
			f"{self.event_pattern}: {self.action} {self.stream or self.handler or self.server_script}".strip()
		)


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
	"""Make an event of a body and what was parsed of it.

	The id is where the settings say it is, else where the scheme does; without one, `default_id`, else the hash
	of the body, which also stands in for the parts that are missing. The type likewise; a queue message names it in
	`type` first.

	known: secrets, which no header that is kept shows. An id in a header that is not signed may have been used by somebody else: then another body is another event.
	"""
	headers, body_hash = headers or {}, hashlib.sha256(body).hexdigest()
	signed = scheme.signed_headers if scheme else ()
	places = places_of(config, scheme.places if scheme else places)
	found = identify(headers, payload, places, signed)
	named = scalar(payload, "type") if endpoint == "Queue" else ""
	event_type = (named or found.event_type)[:140]
	event_id = _event_id(config, found, default_id, body_hash)
	default = scheme.same_id if scheme else "Conflict"
	other_body = "New" if "id" in found.unsigned else config.same_id_other_body or default
	held = scheme.misfit(event_type, payload) if scheme and "type" in found.unsigned else ""
	shown = _kept_headers(config, headers, places, known)
	return Event(
		integration=config.name,
		event_id=event_id,
		event_type=event_type,
		payload=_text(body, payload),
		body_hash=body_hash,
		door=endpoint,
		headers=_json(shown) if shown else "",
		unrouted=route_for(routes, event_type) is None,
		ordering_key=ordering_key(scalar(payload, config.ordering_key_path)),
		other_body=other_body,
		event_time=found.time,
		unsigned=", ".join(found.unsigned),
		held=held,
	)


def _kept_headers(
	config: IntegrationConfig, headers: Mapping[str, str], places: Places, known: KnownSecrets | None
) -> dict[str, str]:
	"""Return the headers that an event keeps: a few for all, those that tell what it is, and those a person lists."""
	shown = {name: headers[name] for name in _SHOWN_HEADERS if headers.get(name)}
	for name in _more_headers(config, places):
		if value := headers.get(name):
			secret = known is not None and known.stands_in(value)
			shown[name] = MASK if secret else value[:_LONGEST_HEADER]
	return shown


@lru_cache(maxsize=1000)
def _more_headers(config: IntegrationConfig, places: Places) -> tuple[str, ...]:
	"""Return the headers that an integration's events keep besides those that all do: none that proves who sends."""
	told = (*places.id_headers, *places.type_headers, *places.time_headers, *kept_names(config))
	return tuple(n for n in dict.fromkeys(told) if n not in _SHOWN_HEADERS and not proves(n, config))


def _event_id(config: IntegrationConfig, found: Identity, default_id: str, body_hash: str) -> str:
	source = config.event_id_source
	if found.event_id and source in ("Header or Path", "Header and Path"):
		return found.event_id if found.complete else f"{found.event_id} | {body_hash}"
	found.unsigned = [what for what in found.unsigned if what != "id"]  # it is made here
	if source == "Hash of Body":
		return body_hash
	return default_id or (new_id() if source == "Each Delivery Is an Event" else body_hash)


def ordering_key(value: str) -> str:
	"""Return what the inbox keeps of an ordering key: its hash if it is longer than the column."""
	return value if len(value) <= _MAX_ORDERING_KEY else hashlib.sha256(value.encode()).hexdigest()


def _text(body: bytes, payload: Any) -> str:
	"""Return a JSON body as it came; anything else as the JSON it was read as."""
	text = body.decode("utf-8", "replace")
	if text.lstrip()[:1] in ("{", "["):
		return text
	return _json(payload)


def _json(value: Any) -> str:
	"""Return JSON with its characters unescaped, but for what is not Unicode."""
	text = json.dumps(value, ensure_ascii=False)
	return text if _encodes(text) else json.dumps(value)


def _encodes(text: str) -> bool:
	"""Tell whether text is Unicode: JSON may escape half of a surrogate pair."""
	try:
		text.encode()
	except UnicodeEncodeError:
		return False
	return True


def load_routes(runtime: Runtime, integration: str) -> list[Route]:
	"""Return an integration's routes, in their order."""
	rows = child_rows(runtime.db, "Webhook Route", integration)
	# What is empty is as the checks of settings take it: the default.
	given = ({name: value for name, value in row.items() if value not in (None, "")} for row in rows)
	return [Route(**typed_values(Route, row)) for row in given]


def route_for(routes: Sequence[Route], event_type: str) -> Route | None:
	"""Return the first route whose pattern fits: exact, `order.*`, `*`."""
	for route in routes:
		if route.event_pattern == event_type or fnmatchcase(event_type, _literal(route.event_pattern)):
			return route
	return None


def _literal(pattern: str) -> str:
	"""Return the pattern with all but `*` taken literally."""
	return pattern.replace("[", "[[]").replace("?", "[?]")
