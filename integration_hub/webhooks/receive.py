"""A request at a door becomes a row and an answer. Both HTTP doors call this."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from integration_hub.connectors.calls import contained
from integration_hub.connectors.errors import ConnectorError
from integration_hub.plain import logger_of
from integration_hub.stores import inbox
from integration_hub.stores.home import Home, HubError
from integration_hub.stores.ordering import waits_for_retry
from integration_hub.stores.packets import longest_statement, size_of
from integration_hub.webhooks.bodies import BodyTooLarge, MalformedEvent, UnsupportedMedia, read_body
from integration_hub.webhooks.doorway import Doorway, doorway
from integration_hub.webhooks.events import read_event
from integration_hub.webhooks.messages import MAX_BODY, MEGABYTE, Answer, Request
from integration_hub.webhooks.rejections import reject
from integration_hub.webhooks.schemes import BadSignature, Scheme
from integration_hub.webhooks.secrecy import check_event

logger = logger_of("integration_hub.webhooks")


Store = Callable[[Home, Sequence[inbox.Event]], list[inbox.Verdict]]


def receive(home: Home, request: Request, store: Store = inbox.store) -> Answer:
	"""Verify, store, commit, answer. Any request gets a declared answer; nothing is raised.

	200 received, duplicate, a handshake or a look at the door; 202 held (unrouted or conflict); 400 malformed;
	401 not proven; 404 unknown or disabled; 405 neither a POST nor a handshake; 413 too large; 415 neither JSON nor
	a form, or packed in an unknown way; 503 when the row cannot be committed or the settings are wrong (the sender
	repeats it).
	"""
	known, found = True, None
	try:
		if found := doorway(home, request.integration):
			return contained(_receive)(home, found, request, store)  # a scheme may be an app's
		answer, known = Answer(404, "unknown_integration"), False
	except _Refused as refusal:
		answer = refusal.answer
	except BadSignature as error:
		answer = Answer(401, str(error), headers=_how_to_prove(found))
	except MalformedEvent as error:
		answer = Answer(400, str(error))
	except UnsupportedMedia as error:
		answer = Answer(415, str(error))
	except BodyTooLarge as error:
		answer = Answer(413, str(error))
	except (HubError, ConnectorError, ValueError) as error:
		# The settings are wrong, not the sender: it shall try again when they are mended.
		logger.error("Webhook for %s not accepted: %s", request.integration[:140], error)
		answer = Answer(503, "not_configured")
	except Exception:
		logger.exception("Webhook for %s could not be stored", request.integration[:140])
		home.reconnect()  # what the sender repeats shall not meet the same broken connection
		return Answer(503, "not_stored")
	reject(home, request, answer, known=known)
	return answer


def too_large(home: Home, integration: str, method: str) -> Answer:
	"""Answer a request whose body was not read, because its length alone says that it is refused; counts it."""
	answer = Answer(413, "body_too_large")
	try:
		known = doorway(home, integration) is not None
	except Exception:
		logger.exception("The settings of %s could not be read", integration[:140])
	else:
		reject(home, Request(integration, method, {}, b""), answer, known=known)
	return answer


def largest_body(home: Home, integration: str) -> int:
	"""Return how many bytes a body may have; nothing is raised: what is wrong is said once the body is there."""
	try:
		found = doorway(home, integration)
	except Exception:
		logger.exception("The settings of %s could not be read", integration[:140])
		found = None
	return found.largest_body if found else MAX_BODY


class _Refused(Exception):
	"""The request is answered without being looked at further."""

	def __init__(self, status: int, reason: str, **headers: str):
		self.answer = Answer(status, reason, headers=tuple(headers.items()))
		super().__init__(reason)


def _receive(home: Home, found: Doorway, request: Request, store: Store) -> Answer:
	if len(request.body) > found.largest_body:
		raise _Refused(413, "body_too_large")
	if request.method in ("HEAD", "OPTIONS"):
		return _show(found, request)
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
	body, payload = read_body(request.body, request.headers, found.largest_body, forms=scheme.forms)
	if answer := scheme.challenge(payload):
		return answer
	event = read_event(
		found.config,
		body,
		payload,
		found.routes,
		"HTTP",
		request.headers,
		scheme=scheme,
		known=found.known,
	)
	check_event(event, found.known)
	if len(body) > MEGABYTE and 0 < longest_statement(home) < size_of(event):
		raise _Refused(413, "body_too_large_for_database")  # by nothing that a sender's repeating would mend
	[verdict] = store(home, [event])
	return _stored(home, event, verdict)


def _show(found: Doorway, request: Request) -> Answer:
	"""Answer a sender that looks whether there is a door, and what it takes.

	CloudEvents' senders ask whether they may deliver: https://github.com/cloudevents/spec, http-webhook.md, 4.
	"""
	headers = [("Allow", _methods(found))]
	if request.method == "OPTIONS" and request.headers.get("webhook-request-origin"):
		headers.append(("WebHook-Allowed-Origin", "*"))  # its events have to be signed all the same
	return Answer(200, "ok", headers=tuple(headers))


def _greet(found: Doorway, request: Request) -> Answer:
	"""Answer a handshake; raises BadSignature, and _Refused for a GET that is none."""
	if not _greets(found):
		raise _Refused(405, "method_not_allowed", Allow=_methods(found))
	if not found.secrets:
		raise BadSignature("no_secret_set")
	if answer := found.scheme.handshake(request, found.secrets, found.verify_token):
		return answer
	raise _Refused(405, "method_not_allowed", Allow=_methods(found))


def _greets(found: Doorway) -> bool:
	return type(found.scheme).handshake is not Scheme.handshake


def _methods(found: Doorway) -> str:
	return "POST, GET, HEAD, OPTIONS" if _greets(found) else "POST, HEAD, OPTIONS"


def _how_to_prove(found: Doorway | None) -> tuple[tuple[str, str], ...]:
	"""Return the header that says how to prove who one is, where HTTP has a name for it (RFC 9110, 11.6.1)."""
	asked = found.scheme.authenticate if found else ""
	return (("WWW-Authenticate", asked),) if asked else ()


def _stored(home: Home, event: inbox.Event, verdict: inbox.Verdict) -> Answer:
	if verdict == "received" and event.unrouted:
		return Answer(202, "unrouted")
	if verdict == "received":
		hand_over(home, event.integration, [event.ordering_key])
	return Answer(202 if verdict == "conflict" else 200, verdict)


def hand_over(home: Home, integration: str, keys: Collection[str] = ()) -> None:
	"""Have a worker drain the inbox. The rows are committed: if this fails, the sweep takes them up.

	keys: the ordering keys of what is new; the worker is spared where all of it waits for an earlier one's retry.
	"""
	try:
		if not waits_for_retry(home, integration, keys):
			home.enqueue_drain(integration)
	except Exception:
		logger.exception("Inbox of %s not handed over; the sweep will", integration)
