"""A request at an endpoint becomes a row and an answer. Both HTTP endpoints call this."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from integration_hub.connectors.app_code import contained
from integration_hub.connectors.errors import ConnectorError
from integration_hub.stores import inbox
from integration_hub.stores.ordering import waits_for_retry
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.stores.statement_size import longest_statement, size_of
from integration_hub.terminal_text import logger_of
from integration_hub.webhooks.answers import as_asked
from integration_hub.webhooks.bodies import BodyTooLarge, MalformedEvent, UnsupportedMedia, read_body
from integration_hub.webhooks.body_events import read_events
from integration_hub.webhooks.cloud_events import read_cloud_events
from integration_hub.webhooks.endpoint import Endpoint, endpoint_at
from integration_hub.webhooks.events import EventReader
from integration_hub.webhooks.handshakes import after_proof, before_proof, takes_get
from integration_hub.webhooks.logged import logged
from integration_hub.webhooks.messages import MAX_BODY, MEGABYTE, Request, Response
from integration_hub.webhooks.rejections import reject
from integration_hub.webhooks.schemes import BadSignature, CannotVerify, Scheme
from integration_hub.webhooks.schemes.challenges import require_event

logger = logger_of("integration_hub.webhooks")


Store = Callable[[Runtime, Sequence[inbox.Event]], list[inbox.Verdict]]


def receive(runtime: Runtime, request: Request, store: Store = inbox.store) -> Response:
	"""Verify, store, commit, answer. Any request gets a declared answer; nothing is raised.

	200 received, duplicate, no_events, a handshake or a look at the endpoint; 202 held (unrouted or conflict); 400 malformed;
	401 not proven; 404 unknown or disabled; 405 neither a POST nor a handshake; 413 too large; 415 neither JSON, XML nor
	a form, or packed in an unknown way; 503 when the row cannot be committed or the settings are wrong (the sender
	repeats it).
	"""
	known, found = True, None
	try:
		name, token, found = endpoint_at(runtime, request.integration)
		if token:
			request = replace(request, integration=name, token=token)
		if found:
			answer = contained(_receive)(runtime, found, request, store)  # a scheme may be an app's
			return as_asked(found.config, answer)
		answer, known = Response(404, "unknown_integration"), False
	except _Refused as refusal:
		answer = refusal.answer
	except BadSignature as error:
		answer = Response(401, str(error), headers=_how_to_prove(found))
	except CannotVerify as error:
		answer = Response(503, str(error))
	except MalformedEvent as error:
		answer = Response(400, str(error))
	except UnsupportedMedia as error:
		answer = Response(415, str(error))
	except BodyTooLarge as error:
		answer = Response(413, str(error))
	except (HubError, ConnectorError, ValueError) as error:
		# The settings are wrong, not the sender: it should try again when they are mended.
		name = found.config.name if found else _shown(request.integration)
		logger.error("Webhook for %s not accepted: %s", name, error)
		request, answer = replace(request, integration=name), Response(503, "not_configured")
	except Exception:  # the boundary of a request: its sender gets an answer, whatever has failed
		logger.exception("Webhook for %s could not be stored", _shown(request.integration))
		runtime.reconnect()  # what the sender repeats must not meet the same broken connection
		return Response(503, "not_stored")
	reject(runtime, request, answer, known=known)
	return as_asked(found.config, answer) if found else answer


def _shown(path: str) -> str:
	"""Return what a log may show of an address: what follows the name in it may be a token."""
	return path.partition("/")[0][:140]


def too_large(runtime: Runtime, integration: str, method: str) -> Response:
	"""Answer a request whose body was not read, because its length alone says that it is refused; counts it."""
	answer = Response(413, "body_too_large")
	with logged("The settings of %s could not be read", _shown(integration)):
		name, _token, found = endpoint_at(runtime, integration)
		reject(runtime, Request(name, method, {}, b""), answer, known=found is not None)
	return answer


def largest_body(runtime: Runtime, integration: str) -> int:
	"""Return how many bytes a body may have; nothing is raised: what is wrong is said once the body is there."""
	found = None
	with logged("The settings of %s could not be read", _shown(integration)):
		_name, _token, found = endpoint_at(runtime, integration)
	return found.largest_body if found else MAX_BODY


class _Refused(Exception):
	"""The request is answered without being looked at further."""

	def __init__(self, status: int, reason: str, **headers: str) -> None:
		self.answer = Response(status, reason, headers=tuple(headers.items()))
		super().__init__(reason)


def _receive(runtime: Runtime, found: Endpoint, request: Request, store: Store) -> Response:
	if len(request.body) > found.largest_body:
		raise _Refused(413, "body_too_large")
	if request.method in ("HEAD", "OPTIONS"):
		return _show(found, request)
	if answer := _handshake(runtime, found, request):
		return answer
	if request.method == "GET":
		return _greet(found, request)
	if request.method != "POST":
		raise _Refused(405, "method_not_allowed", Allow=_methods(found))
	if not found.secrets:
		raise BadSignature("no_secret_set")
	scheme = found.scheme
	if answer := scheme.probe(request):
		return answer
	scheme.verify(request, found.secrets)
	body, payload = scheme.concealed(*_read_body(found, request), found.secrets)
	if scheme.signs_challenges:
		require_event(request.body)
	if answer := scheme.challenge(payload) or after_proof(found, request, payload):
		return answer
	reader = EventReader(found.rules, "HTTP", request.headers)
	events = read_events(reader, body, payload)
	if len(body) > MEGABYTE and 0 < longest_statement(runtime) < max(map(size_of, events), default=0):
		raise _Refused(413, "body_too_large_for_database")  # for a reason that a repeat would not change
	return _stored(runtime, events, store(runtime, events))


def _read_body(found: Endpoint, request: Request) -> tuple[bytes, Any]:
	if not request.body and found.config.empty_bodies:  # the event is in the headers
		return b"{}", {}
	read = read_cloud_events if found.config.event_format else read_body
	return read(request.body, request.headers, found.largest_body, found.reading)


def _handshake(runtime: Runtime, found: Endpoint, request: Request) -> Response | None:
	asked = found.config.handshake and request.method in ("GET", "POST")
	return before_proof(runtime, found, request) if asked else None


def _show(found: Endpoint, request: Request) -> Response:
	"""Answer a sender that looks whether there is an endpoint, and what it takes.

	CloudEvents' senders ask whether they may deliver: https://github.com/cloudevents/spec, http-webhook.md, 4.
	"""
	headers = [("Allow", _methods(found))]
	if request.method == "OPTIONS" and request.headers.get("webhook-request-origin"):
		headers.append(("WebHook-Allowed-Origin", "*"))  # its events have to be signed all the same
		if request.headers.get("webhook-request-rate"):
			headers.append(("WebHook-Allowed-Rate", "*"))
	return Response(200, "ok", headers=tuple(headers))


def _greet(found: Endpoint, request: Request) -> Response:
	"""Answer a handshake; raises BadSignature, and _Refused for a GET that is none."""
	if not _greets(found):
		raise _Refused(405, "method_not_allowed", Allow=_methods(found))
	if not found.secrets:
		raise BadSignature("no_secret_set")
	if answer := found.scheme.handshake(request, found.secrets, found.verify_token):
		return answer
	raise _Refused(405, "method_not_allowed", Allow=_methods(found))


def _greets(found: Endpoint) -> bool:
	return takes_get(found.config) or type(found.scheme).handshake is not Scheme.handshake


def _methods(found: Endpoint) -> str:
	return "POST, GET, HEAD, OPTIONS" if _greets(found) else "POST, HEAD, OPTIONS"


def _how_to_prove(found: Endpoint | None) -> tuple[tuple[str, str], ...]:
	"""Return the header that says how to prove who one is, where HTTP has a name for it (RFC 9110, 11.6.1)."""
	asked = found.scheme.authenticate if found else ""
	return (("WWW-Authenticate", asked),) if asked else ()


def _stored(runtime: Runtime, events: Sequence[inbox.Event], verdicts: Sequence[inbox.Verdict]) -> Response:
	"""Answer for events that are committed: with what a person has to look at, if there is any."""
	new = [event for event, verdict in zip(events, verdicts, strict=True) if verdict == "received"]
	if routed := [event for event in new if not event.unrouted]:
		hand_over(runtime, routed[0].integration, {event.ordering_key for event in routed})
	if "conflict" in verdicts:
		return Response(202, "conflict")
	if len(new) > len(routed):
		return Response(202, "unrouted")
	return Response(200, "received" if new else "duplicate" if verdicts else "no_events")


def hand_over(runtime: Runtime, integration: str, keys: Collection[str] = ()) -> None:
	"""Have a worker drain the inbox. The rows are committed: if this fails, the sweep takes them up.

	keys: the ordering keys of what is new; the worker is spared where all of it waits for an earlier one's retry.
	"""
	with logged("Inbox of %s not handed over; the sweep will", integration):
		if not waits_for_retry(runtime, integration, keys):
			runtime.enqueue_drain(integration)
