"""From a body to an event: its id, its type, and which route it takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from integration_hub.connectors.config import IntegrationConfig, typed_values
from integration_hub.connectors.paths import PathError, PathTooCostly, search
from integration_hub.stores.home import Home
from integration_hub.stores.inbox import Event
from integration_hub.stores.settings import child_rows
from integration_hub.webhooks.schemes.base import Places

_SHOWN_HEADERS = ("content-type", "user-agent", "date")
_MAX_ORDERING_KEY = 140


@dataclass(frozen=True)
class Route:
	"""One row of the routes table."""

	event_pattern: str = "*"
	action: str = "Upsert Record"
	stream: str = ""
	record_path: str = ""
	handler: str = ""
	server_script: str = ""


def read_event(
	config: IntegrationConfig,
	body: bytes,
	payload: Any,
	routes: Sequence[Route],
	door: Literal["HTTP", "Queue"],
	headers: Mapping[str, str] | None = None,
	default_id: str = "",
	places: Places = Places(),  # noqa: B008 - frozen
) -> Event:
	"""Make an event of a body and what was parsed of it.

	The id is where the settings say it is, else where `places` does; without one, `default_id`, else the hash
	of the body. The type likewise; a queue message names it in `type` first.
	"""
	headers = headers or {}
	body_hash = hashlib.sha256(body).hexdigest()
	places = places_of(config, places)
	event_type = scalar(payload, "type") if door == "Queue" else ""
	event_type = event_type or _look(headers, places.type_headers, payload, places.type_path)
	event_id = ""
	if config.event_id_source != "Hash of Body":
		event_id = _look(headers, places.id_headers, payload, places.id_path) or default_id
	shown = {name: value for name, value in headers.items() if name in _SHOWN_HEADERS}
	return Event(
		integration=config.name,
		event_id=event_id or body_hash,
		event_type=event_type[:140],
		payload=_text(body, payload),
		body_hash=body_hash,
		door=door,
		headers=json.dumps(shown) if shown else "",
		unrouted=route_for(routes, event_type[:140]) is None,
		ordering_key=ordering_key(scalar(payload, config.ordering_key_path)),
	)


def ordering_key(value: str) -> str:
	"""Return what the inbox keeps of an ordering key: its hash if it is longer than the column."""
	return value if len(value) <= _MAX_ORDERING_KEY else hashlib.sha256(value.encode()).hexdigest()


def places_of(config: IntegrationConfig, places: Places) -> Places:
	"""Return a sender's places with what the settings say of id or type in their stead."""
	if config.event_id_header or config.event_id_path:
		places = replace(places, id_headers=_one(config.event_id_header), id_path=config.event_id_path)
	if config.event_type_header or config.event_type_path:
		places = replace(
			places, type_headers=_one(config.event_type_header), type_path=config.event_type_path
		)
	return places


def _one(header: str) -> tuple[str, ...]:
	return (header.lower(),) if header else ()


def _look(headers: Mapping[str, str], names: Sequence[str], payload: Any, path: str) -> str:
	found = next((headers[name] for name in names if headers.get(name)), "")
	return found.replace("\x00", "").encode("utf-8", "replace").decode() or scalar(payload, path)


def _text(body: bytes, payload: Any) -> str:
	"""A JSON body as it came; anything else as the JSON it was read as."""
	text = body.decode("utf-8", "replace")
	if text.lstrip()[:1] in ("{", "["):
		return text
	text = json.dumps(payload, ensure_ascii=False)
	return text if _encodes(text) else json.dumps(payload)


def _encodes(text: str) -> bool:
	"""Tell whether text is Unicode: JSON may escape half of a surrogate pair."""
	try:
		text.encode()
	except UnicodeEncodeError:
		return False
	return True


def scalar(payload: Any, path: str) -> str:
	"""Return the text or number at a path as text, "" if there is none.

	Raises PathTooCostly, which is the settings' fault and not the sender's.
	"""
	if not path:
		return ""
	try:
		value = search(path, payload)
	except PathTooCostly as error:
		raise PathTooCostly(f"{path[:80]!r}: {error}") from None
	except PathError:
		return ""
	if isinstance(value, bool) or not isinstance(value, str | int | float):
		return ""
	try:
		text = str(value)
	except ValueError:  # a sum may have more digits than Python writes
		return ""
	return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def load_routes(home: Home, integration: str) -> list[Route]:
	"""Return an integration's routes, in their order."""
	rows = child_rows(home.db, "Webhook Route", integration)
	return [Route(**typed_values(Route, row)) for row in rows]


def route_for(routes: Sequence[Route], event_type: str) -> Route | None:
	"""Return the first route whose pattern fits: exact, `order.*`, `*`."""
	for route in routes:
		if route.event_pattern == event_type or fnmatchcase(event_type, _literal(route.event_pattern)):
			return route
	return None


def _literal(pattern: str) -> str:
	"""Only `*` is special in a pattern."""
	return pattern.replace("[", "[[]").replace("?", "[?]")
