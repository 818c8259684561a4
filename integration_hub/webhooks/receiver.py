"""The dedicated WSGI door: `/webhooks/<integration>`. Same code behind it as behind the site's own door."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import parse_qsl, quote

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_host, get_input_stream

from integration_hub.stores.home import Home
from integration_hub.webhooks.group_commit import GroupCommit
from integration_hub.webhooks.messages import MAX_BODY, Answer, Request
from integration_hub.webhooks.receive import Store, receive, too_large

logger = logging.getLogger("integration_hub.webhooks")

# Where a door that has to hide the sender's Authorization header from its framework puts it.
AUTHORIZATION = "hub.authorization"
PREFIX = "/webhooks/"
# A challenge is text, whatever it looks like.
_NO_SNIFFING = ("X-Content-Type-Options", "nosniff")

Environ = dict[str, Any]
OpenHome = Callable[[], AbstractContextManager[Home]]


def receiver(open_home: OpenHome) -> Callable[[dict[str, Any], Callable], Iterable[bytes]]:
	"""Return a WSGI application that receives webhooks into the home `open_home` opens for each request.

	Events that arrive at the same time, over its threads, are committed together.
	"""
	store = GroupCommit()

	def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
		answer = _answer(open_home, store, environ)
		text = answer.text.encode()
		headers = [("Content-Type", answer.mimetype), ("Content-Length", str(len(text))), _NO_SNIFFING]
		start_response(f"{answer.status} {HTTP_STATUS_CODES[answer.status]}", headers)
		return [text]

	return application


def _answer(open_home: OpenHome, store: Store, environ: Environ) -> Answer:
	path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")  # PEP 3333
	if path == "/health":
		return Answer(200, "ok")
	if not path.startswith(PREFIX):
		return Answer(404, "not_found")
	integration = path.removeprefix(PREFIX).strip("/")
	try:
		body = get_input_stream(environ, max_content_length=MAX_BODY + 1).read()
	except RequestEntityTooLarge:
		body = None
	except (OSError, BadRequest):
		return Answer(400, "body_incomplete")
	try:
		with open_home() as home:
			if body is None:
				return too_large(home, integration, environ["REQUEST_METHOD"])
			return receive(home, from_wsgi(environ, integration, body), store)
	except Exception:
		logger.exception("The home could not be opened")
		return Answer(503, "not_stored")


def from_wsgi(environ: Environ, integration: str, body: bytes) -> Request:
	"""Return what arrived as a WSGI server tells it."""
	headers = {
		name[5:].replace("_", "-").lower(): value
		for name, value in environ.items()
		if name.startswith("HTTP_")
	}
	headers["content-type"] = environ.get("CONTENT_TYPE", "")
	if AUTHORIZATION in environ:
		headers["authorization"] = environ[AUTHORIZATION]
	query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
	return Request(
		integration, environ["REQUEST_METHOD"], headers, body, _url(environ), dict(reversed(query))
	)


def _url(environ: Environ) -> str:
	"""The URL as it was called, escapes and all: some senders sign it."""
	target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""  # of servers that tell
	if not target.startswith("/"):
		query = environ.get("QUERY_STRING", "")
		path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
		target = quote(path.encode("latin-1")) + (f"?{query}" if query else "")
	return f"{environ['wsgi.url_scheme']}://{get_host(environ)}{target}"


def response(answer: Answer) -> Response:
	"""Return an answer as the response object of Frappe's own server."""
	return Response(answer.text, status=answer.status, mimetype=answer.mimetype, headers=[_NO_SNIFFING])
