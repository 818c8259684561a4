"""An event of our own making, signed as the integration's sender would sign it: to try the endpoint with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integration_hub.connectors.composed_paths import composed_path
from integration_hub.lazy_messages import _
from integration_hub.stores import inbox
from integration_hub.stores.ids import new_id
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.webhooks.body_events import read_events
from integration_hub.webhooks.endpoint import Endpoint, endpoint_of
from integration_hub.webhooks.events import EventReader, EventRules
from integration_hub.webhooks.identity import places_of
from integration_hub.webhooks.messages import Request, Response
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.splitting import SplitPath, split_path

EVENT_TYPE = "integration-hub.test"
_PLAIN_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Tried:
	"""The answer to a test event, and the name of the row it made or met ("" for none)."""

	answer: Response
	event_id: str
	log: str = ""


def try_endpoint(
	runtime: Runtime,
	integration: str,
	url: str,
	event_type: str = "",
	payload: Mapping[str, Any] | None = None,
) -> Tried:
	"""Make an event, sign it with the integration's secret, and give it to the endpoint; not within a transaction.

	url: where a sender would post it. payload: its body; id and type are put where the settings look for them.

	Raises HubError where there is no endpoint, ConfigurationError where its settings cannot work, and CannotSign.
	"""
	found = endpoint_of(runtime, integration)
	if not found:
		raise HubError(_("takes no webhooks"), doctype="Integration Settings", name=integration)
	request = example(found, url, event_type or EVENT_TYPE, payload)
	if found.secrets:  # without one the endpoint says what is missing
		request = found.scheme.signed(request, found.secrets[0])
	answer = receive(runtime, request)
	event = read_example(found, request)
	return Tried(answer, event.event_id, _row_of(runtime, event) if answer.status < 300 else "")


def read_example(found: Endpoint, request: Request) -> inbox.Event:
	"""Return the one event of an example's body, as the endpoint reads it."""
	rules = EventRules(found.config, found.routes, scheme=found.scheme)
	reader = EventReader(rules, "HTTP", request.headers)
	[event] = read_events(reader, request.body, json.loads(request.body))
	return event


def _row_of(runtime: Runtime, event: inbox.Event) -> str:
	"""Return the name of the newest row that an event has made or met, "" for none."""
	sql = "SELECT `name` FROM `tabWebhook Log` WHERE {} ORDER BY `name` DESC LIMIT 1"
	keys = [event.key, event.body_key]
	rows = runtime.db.query(sql.format("`event_key` IN (%s, %s)"), keys) or runtime.db.query(
		sql.format("`integration` = %s AND `body_hash` = %s"),  # each delivery may have an id of its own
		[event.integration, event.body_hash],
	)
	return rows[0]["name"] if rows else ""


def example(found: Endpoint, url: str, event_type: str, payload: Mapping[str, Any] | None = None) -> Request:
	"""Return an unsigned request whose id and type are where the settings look for them.

	Where a path is more than names with dots between, nothing is put there: then `payload` has to say it.
	"""
	event_id = f"test-{new_id()}"
	body: dict[str, Any] = dict(payload or {"sent_by": "integration_hub", "test": event_id})
	headers = {"content-type": "application/json", "user-agent": "integration-hub-test"}
	places = places_of(found.config, found.scheme.places)
	for names, paths, value in (
		(places.type_headers, _parts(places.type_path)[:1], event_type),
		(places.id_headers, _parts(places.id_path), event_id),
	):
		headers |= dict.fromkeys(names if places.joined else names[:1], value)
		for path in paths if not names or places.joined else ():
			_put(body, path, value)
	content = json.dumps(_wrapped(body, found.config.events_path), ensure_ascii=False).encode()
	return Request(found.config.name, "POST", headers, content, url)


def _parts(path: str) -> list[str]:
	"""Return the paths that make a value together: of a text with paths, of a list, or the first alternative."""
	if composed := composed_path(path):
		return list(composed.paths)
	listed = path.strip().startswith("[") and path.strip().endswith("]")
	parts = path.strip()[1:-1].split(",") if listed else [path]
	return [part.partition("||")[0].strip() for part in parts]


def _wrapped(event: dict[str, Any], events_path: str) -> Any:
	"""Return a body in which an event stands where the settings look for a list of them, as far as names lead there."""
	path = split_path(events_path) if events_path.strip() else SplitPath(())
	found = _nested(path.tail, event)
	for number, place in reversed(list(enumerate(path.lists))):
		if _PLAIN_PATH.fullmatch(place):
			found = _nested(place, [found])
		elif not (number and place):
			found = [found]
	return found


def _nested(path: str, value: Any) -> Any:
	for name in reversed(path.split(".") if path else []):
		value = {name: value}
	return value


def _put(body: dict[str, Any], path: str, value: str) -> None:
	"""Set what a path leads to, unless something stands there or in its way."""
	if not _PLAIN_PATH.fullmatch(path):
		return
	*parents, last = path.split(".")
	for name in parents:
		inner = body.setdefault(name, {})
		if not isinstance(inner, dict):
			return
		body[name] = dict(inner)  # what was given stays as it is
		body = body[name]
	body.setdefault(last, value)
