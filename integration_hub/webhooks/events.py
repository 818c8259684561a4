"""From a body to an event: its id, its type, and which route it takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import jmespath
from jmespath.exceptions import JMESPathError

from integration_hub.connectors.config import IntegrationConfig, typed_values
from integration_hub.stores.home import Home
from integration_hub.stores.inbox import Event
from integration_hub.stores.settings import child_rows

_SHOWN_HEADERS = ("content-type", "user-agent", "date")


class MalformedEvent(ValueError):
	"""The body is no event we can read. The text is a reason word."""


@dataclass(frozen=True)
class Route:
	"""One row of the routes table."""

	event_pattern: str = "*"
	action: str = "Upsert Record"
	stream: str = ""
	record_path: str = ""
	handler: str = ""


def read_event(
	config: IntegrationConfig,
	body: bytes,
	routes: Sequence[Route],
	door: Literal["HTTP", "Queue"],
	headers: Mapping[str, str] | None = None,
	default_id: str = "",
) -> Event:
	"""Read an event from a raw JSON body; raises MalformedEvent.

	The id is the header or the body value the settings name, else `default_id`, else the hash of the body.
	A queue message names its event in `type`.
	"""
	headers = headers or {}
	payload = parse_body(body)
	body_hash = hashlib.sha256(body).hexdigest()
	event_type = scalar(payload, config.event_type_path)
	if door == "Queue":
		event_type = scalar(payload, "type") or event_type
	event_id = headers.get(config.event_id_header.lower(), "") if config.event_id_header else ""
	event_id = event_id or scalar(payload, config.event_id_path) or default_id or body_hash
	shown = {name: value for name, value in headers.items() if name in _SHOWN_HEADERS}
	return Event(
		integration=config.name,
		event_id=event_id,
		event_type=event_type[:140],
		payload=body.decode("utf-8"),
		body_hash=body_hash,
		door=door,
		headers=json.dumps(shown, indent=1) if shown else "",
		unrouted=route_for(routes, event_type[:140]) is None,
	)


def parse_body(body: bytes) -> Any:
	"""Return the JSON value of a body; raises MalformedEvent."""
	try:
		text = body.decode("utf-8")
		if "\x00" in text:  # Postgres stores no NUL
			raise MalformedEvent("body_has_nul")
		payload = json.loads(text, parse_constant=_refuse_constant)
	except UnicodeError:
		raise MalformedEvent("body_not_utf8") from None
	except RecursionError:
		raise MalformedEvent("body_too_deep") from None
	except ValueError as error:
		raise error if isinstance(error, MalformedEvent) else MalformedEvent("body_not_json") from None
	if not isinstance(payload, dict | list):
		raise MalformedEvent("body_not_an_object")
	return payload


def scalar(payload: Any, path: str) -> str:
	"""Return the text or number at a path as text, "" if there is none."""
	if not path:
		return ""
	try:
		value = jmespath.search(path, payload)
	except JMESPathError:
		return ""
	if isinstance(value, bool) or not isinstance(value, str | int | float):
		return ""
	return str(value).replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


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


def _refuse_constant(name: str) -> None:
	raise MalformedEvent("body_not_json")
