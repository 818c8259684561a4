"""A request at a door becomes a row and an answer. Both HTTP doors call this."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from integration_hub.connectors.errors import ConnectorError
from integration_hub.stores import inbox
from integration_hub.stores.home import Home, HubError
from integration_hub.webhooks.events import MalformedEvent, load_routes, read_event
from integration_hub.webhooks.signatures import BadSignature, scheme_for

logger = logging.getLogger("integration_hub.webhooks")

MAX_BODY = 5 * 1024 * 1024


@dataclass(frozen=True)
class Request:
	"""What arrived. `headers` has lower-case names; `body` is raw, as signed; `url` as the sender called it."""

	integration: str
	method: str
	headers: Mapping[str, str]
	body: bytes
	url: str = ""
	query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
	"""What is sent back: a status and one reason word, as JSON."""

	status: int
	reason: str

	@property
	def body(self) -> dict[str, str]:
		return {"status": self.reason}


def receive(home: Home, request: Request) -> Answer:
	"""Verify, store, commit, answer. Any request gets a declared answer; nothing is raised.

	200 received or duplicate, 202 held (unrouted or conflict), 400 malformed, 401 not proven, 404 unknown or
	disabled, 405 not a POST, 413 too large, 503 when the row cannot be committed (the sender repeats it).
	"""
	try:
		return _receive(home, request)
	except BadSignature as error:
		return Answer(401, str(error))
	except MalformedEvent as error:
		return Answer(400, str(error))
	except (HubError, ConnectorError, ValueError) as error:
		# The settings are wrong, not the sender: it shall try again when they are mended.
		logger.error("Webhook for %s not accepted: %s", request.integration[:140], error)
		return Answer(503, "not_configured")
	except Exception:
		logger.exception("Webhook for %s could not be stored", request.integration[:140])
		return Answer(503, "not_stored")


def _receive(home: Home, request: Request) -> Answer:
	if request.method != "POST":
		return Answer(405, "method_not_allowed")
	if len(request.body) > MAX_BODY:
		return Answer(413, "body_too_large")
	try:
		config = home.integration(request.integration)
	except HubError:
		return Answer(404, "unknown_integration")
	if not (config.enabled and config.webhook_enabled):
		return Answer(404, "unknown_integration")
	secrets = home.secrets(config.name)
	active = [value for field in ("webhook_secret", "webhook_secret_old") if (value := secrets.get(field))]
	if not active:
		raise BadSignature("no_secret_set")
	scheme_for(config, home.schemes()).verify(request, active)

	event = read_event(config, request.body, load_routes(home, config.name), "HTTP", request.headers)
	[verdict] = inbox.store(home, [event])
	if verdict == "received" and not event.unrouted:
		hand_over(home, config.name)
	if verdict == "received" and event.unrouted:
		return Answer(202, "unrouted")
	return Answer(202 if verdict == "conflict" else 200, verdict)


def hand_over(home: Home, integration: str) -> None:
	"""Have a worker drain the inbox. The rows are committed: if this fails, the sweep takes them up."""
	try:
		home.enqueue_drain(integration)
	except Exception:
		logger.exception("Inbox of %s not handed over; the sweep will", integration)
