"""The dedicated receiver: `/webhooks/<integration>`. Same code behind it as behind the site's endpoint.

It is called by many threads at once. `receiver` gives it the entry points of a WSGI application, webhooks.asgi that of an
ASGI one, which reads bodies without a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response as WerkzeugResponse
from werkzeug.wsgi import get_host, get_input_stream

from integration_hub.stores.runtime import Runtime
from integration_hub.terminal_text import logger_of
from integration_hub.webhooks.group_commit import GroupCommit
from integration_hub.webhooks.logged import logged
from integration_hub.webhooks.messages import (
	HEALTH,
	MAX_BODY,
	NOT_STORED,
	Request,
	Response,
	first_values,
	integration_at,
)
from integration_hub.webhooks.receive import largest_body, receive, too_large

logger = logger_of("integration_hub.webhooks")

# Where an endpoint that has to hide the sender's Authorization header from its framework puts it.
AUTHORIZATION = "hub.authorization"

Environ = dict[str, Any]
OpenRuntime = Callable[[], AbstractContextManager[Runtime]]


class Receiver:
	"""Receives requests into the runtime that `open_runtime` opens for each of them.

	Events that arrive at the same time, over its threads, are committed together.
	"""

	def __init__(self, open_runtime: OpenRuntime) -> None:
		self._open_runtime = open_runtime
		self._store = GroupCommit()

	def receive(self, request: Request) -> Response:
		"""Answer a request that has come whole; nothing is raised."""
		return self._with_runtime(lambda runtime: receive(runtime, request, self._store), NOT_STORED)

	def too_large(self, integration: str, method: str) -> Response:
		"""Answer a request whose body is larger than `largest_body` says."""
		return self._with_runtime(lambda runtime: too_large(runtime, integration, method), NOT_STORED)

	def largest_body(self, integration: str) -> int:
		"""Return how many bytes a body may have."""
		return self._with_runtime(lambda runtime: largest_body(runtime, integration), MAX_BODY)

	def _with_runtime(self, work: Callable[[Runtime], Any], otherwise: Any) -> Any:
		with logged("The runtime could not be opened"), self._open_runtime() as runtime:
			return work(runtime)
		return otherwise


def receiver(open_runtime: OpenRuntime) -> Callable[[Environ, Callable], Iterable[bytes]]:
	"""Return a WSGI application that receives webhooks into the runtime `open_runtime` opens for each request.

	A slow body holds one of the server's threads: let a server read it before, or use webhooks.asgi.
	"""
	app = Receiver(open_runtime)

	def application(environ: Environ, start_response: Callable) -> Iterable[bytes]:
		answer = _answer(app, environ)
		start_response(f"{answer.status} {HTTP_STATUS_CODES[answer.status]}", answer.all_headers)
		return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.text.encode()]

	return application


def _answer(app: Receiver, environ: Environ) -> Response:
	path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")  # PEP 3333
	if path == HEALTH:
		return Response(200, "ok")
	integration = integration_at(path)
	if integration is None:
		return Response(404, "not_found")
	try:
		body = get_input_stream(environ, max_content_length=app.largest_body(integration)).read()
	except RequestEntityTooLarge:
		return app.too_large(integration, environ["REQUEST_METHOD"])
	except (OSError, BadRequest):
		return Response(400, "body_incomplete")
	return app.receive(from_wsgi(environ, integration, body))


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
	query = first_values(environ.get("QUERY_STRING", ""))
	return Request(integration, environ["REQUEST_METHOD"], headers, body, _url(environ), query)


def _url(environ: Environ) -> str:
	"""Return the URL as it was called, escapes and all: some senders sign it."""
	target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""  # set by some servers
	if not target.startswith("/"):
		query = environ.get("QUERY_STRING", "")
		path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
		target = quote(path.encode("latin-1")) + (f"?{query}" if query else "")
	return f"{environ['wsgi.url_scheme']}://{get_host(environ)}{target}"


def response(answer: Response) -> WerkzeugResponse:
	"""Return an answer as the response object of Frappe's own server."""
	return WerkzeugResponse(answer.text, status=answer.status, headers=answer.all_headers)
