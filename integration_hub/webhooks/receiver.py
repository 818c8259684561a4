"""The dedicated WSGI door: `/webhooks/<integration>`. Same code behind it as behind the site's own door."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request as WSGIRequest
from werkzeug.wrappers import Response

from integration_hub.stores.home import Home
from integration_hub.webhooks.group_commit import GroupCommit
from integration_hub.webhooks.messages import MAX_BODY, Answer, Request
from integration_hub.webhooks.receive import Store, receive, too_large

logger = logging.getLogger("integration_hub.webhooks")

# Where a door that has to hide the sender's Authorization header from its framework puts it.
AUTHORIZATION = "hub.authorization"
PREFIX = "/webhooks/"
OpenHome = Callable[[], AbstractContextManager[Home]]


def receiver(open_home: OpenHome) -> Callable[[dict[str, Any], Callable], Iterable[bytes]]:
	"""Return a WSGI application that receives webhooks into the home `open_home` opens for each request.

	Events that arrive at the same time, over its threads, are committed together.
	"""
	store = GroupCommit()

	def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
		return response(_answer(open_home, store, WSGIRequest(environ)))(environ, start_response)

	return application


def _answer(open_home: OpenHome, store: Store, http: WSGIRequest) -> Answer:
	if http.path == "/health":
		return Answer(200, "ok")
	if not http.path.startswith(PREFIX):
		return Answer(404, "not_found")
	http.max_content_length = MAX_BODY
	integration = http.path.removeprefix(PREFIX).strip("/")
	try:
		request = from_wsgi(http, integration)
	except RequestEntityTooLarge:
		request = None
	except OSError:
		return Answer(400, "body_incomplete")
	try:
		with open_home() as home:
			return receive(home, request, store) if request else too_large(home, integration, http.method)
	except Exception:
		logger.exception("The home could not be opened")
		return Answer(503, "not_stored")


def from_wsgi(http: WSGIRequest, integration: str) -> Request:
	"""Read a WSGI request, its body raw."""
	body = http.get_data(cache=True, parse_form_data=False)
	headers = {name.lower(): value for name, value in http.headers.items()}
	if AUTHORIZATION in http.environ:
		headers["authorization"] = http.environ[AUTHORIZATION]
	return Request(integration, http.method, headers, body, _url(http), http.args.to_dict())


def _url(http: WSGIRequest) -> str:
	"""The URL as it was called, escapes and all: some senders sign it. (Request.url is made readable.)"""
	target = http.environ.get("RAW_URI") or http.environ.get("REQUEST_URI") or ""  # gunicorn, werkzeug
	if not target.startswith("/"):
		query = http.query_string.decode("latin-1")
		target = quote(http.root_path + http.path) + (f"?{query}" if query else "")
	return f"{http.scheme}://{http.host}{target}"


def response(answer: Answer) -> Response:
	"""Return an answer as an HTTP response."""
	response = Response(answer.text, status=answer.status, mimetype=answer.mimetype)
	response.headers["X-Content-Type-Options"] = "nosniff"  # a challenge is text, whatever it looks like
	return response
