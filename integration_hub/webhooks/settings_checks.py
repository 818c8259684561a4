"""Checks of an integration's webhook and queue settings, made when they are saved or read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.connectors.composed_paths import composed_path_problem
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.credential_headers import proves
from integration_hub.connectors.errors import ConnectorError
from integration_hub.connectors.header_fields import header_mentions
from integration_hub.lazy_messages import _
from integration_hub.webhooks.answers import answer_problems
from integration_hub.webhooks.event_retries import pauses_problem
from integration_hub.webhooks.handshakes import handshake_problems
from integration_hub.webhooks.presets import filled
from integration_hub.webhooks.schemes import SCHEMES, scheme_for
from integration_hub.webhooks.signature_checks import signature_problems
from integration_hub.webhooks.splitting import split_path_problem

ACTIONS = (
	"Upsert Record",
	"Delete Record",
	"Fetch Record",
	"Start Sync",
	"Call Function",
	"Run Server Script",
	"Ignore",
)

Problem = tuple[str, str]


@dataclass(frozen=True)
class Registered:
	"""Names that webhook and queue settings may use. has_stream: tells of a name; script_problem: what keeps a script from running."""

	schemes: Mapping[str, str]
	handlers: Collection[str]
	has_stream: Callable[[str], bool]
	script_problem: Callable[[str], str]


def endpoint_problems(
	config: IntegrationConfig, routes: Sequence[Mapping[str, Any]], known: Registered
) -> Iterator[Problem]:
	"""Return what is wrong, as (field, sentence); nothing when the endpoints can work."""
	if config.webhook_enabled:
		yield from _scheme_problems(config, known)
	if config.queue_enabled:
		yield from _queue_problems(config)
	yield from _body_problems(config)
	for number, row in enumerate(routes, 1):
		for problem in [*_route_problems(row, known), *_path_problems(row, config)]:
			yield "routes", _("row {0}: {1}", number, problem)


def _scheme_problems(config: IntegrationConfig, known: Registered) -> Iterator[Problem]:
	if config.webhook_scheme in known.schemes and config.webhook_scheme not in SCHEMES:
		return  # whose module is there once it is used
	try:
		scheme_for(config, known.schemes)
	except ConnectorError as error:
		yield error.field or "webhook_scheme", error.detail
	config = filled(config)
	yield from signature_problems(config)
	yield from handshake_problems(config)
	yield from answer_problems(config)


def _queue_problems(config: IntegrationConfig) -> Iterator[Problem]:
	if config.queue_end not in ("Right", "Left"):
		yield "queue_end", _("{0!r} is neither Right nor Left", config.queue_end)
	if not config.queue_name.strip():
		yield "queue_name", _("is needed to consume a queue")
	if config.queue_kind == "Stream" and not config.queue_group.strip():
		yield "queue_group", _("is needed to consume a stream")


def _body_problems(config: IntegrationConfig) -> Iterator[Problem]:
	if problem := split_path_problem(config.events_path):
		yield "events_path", problem
	if problem := pauses_problem(config.event_retry_pauses):
		yield "event_retry_pauses", problem


def _path_problems(row: Mapping[str, Any], config: IntegrationConfig) -> Iterator[str]:
	"""Return what is wrong with the paths of a route, and with the headers that they name."""
	for field, check in _PATHS.items():
		path = row.get(field) or ""
		if path and (problem := check(path)):
			yield f"{field}: {problem}"
		for name in header_mentions(path) if isinstance(path, str) else ():
			if proves(name, config):
				yield _("{0}: {1} contains a signature or credentials, which no event stores", field, name)


_PATHS = {"record_path": path_problem, "condition": path_problem, "record_id_path": composed_path_problem}


def _route_problems(row: Mapping[str, Any], known: Registered) -> Iterator[str]:
	action = row.get("action") or ACTIONS[0]
	stream, handler = row.get("stream") or "", row.get("handler") or ""
	if action not in ACTIONS:
		yield _("action {0!r} is not one of {1}", action, ", ".join(ACTIONS))
	if stream and not known.has_stream(stream):
		yield _("stream {0!r} does not exist", stream)
	if action in ACTIONS[:4] and not stream:
		yield _("{0} needs a stream", action)
	if (action == "Call Function" or handler) and handler not in known.handlers:
		yield _("handler {0!r} is not registered", handler)
	if action == "Run Server Script" and (problem := known.script_problem(row.get("server_script") or "")):
		yield problem
