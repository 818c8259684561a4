"""The dedicated receiver as an ASGI application: https://asgi.readthedocs.io/en/latest/specs/www.html

Bodies are read in the event loop, under a deadline and a least rate, and only a request that has come whole is
handed to a thread. So a slow sender holds a connection and nothing else, and `/health` waits for nobody.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import quote

from integration_hub.webhooks.logged import logged
from integration_hub.webhooks.messages import (
	BUSY,
	HEALTH,
	MEGABYTE,
	Request,
	Response,
	first_values,
	integration_at,
	joined,
)
from integration_hub.webhooks.receiver import Receiver

logger = logging.getLogger("integration_hub.webhooks")

T = TypeVar("T")
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

CONNECTIONS = 1000  # requests in progress at a time, unless set
BODY_SECONDS = 10.0  # for any body to arrive
LEAST_RATE = 50_000  # so many bytes that have come give it a second more
LONGEST_SECONDS = 120.0
WAIT_SECONDS = 5.0  # for a free thread: senders wait no longer
_HELD_BYTES = 256 * MEGABYTE  # bytes of bodies at a time, of all senders together
_DRAINED_BYTES = (
	64 * MEGABYTE
)  # bytes that are read of a refused body: a sender that has sent all of it reads the answer
_LOOK_SECONDS = 0.25
# A name, an IPv4 address or nothing; or an IPv6 address, and a port (RFC 3986, 3.2.2).
_HOST = re.compile(rb"(?:\[[0-9A-Fa-fv:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\d*)?", re.ASCII)
_NO_TEXT = {"type": "http.response.body", "body": b""}
_SMALL = MEGABYTE  # a body that any integration takes


class _BrokenOff(Exception):
	"""The body ends early: the sender is gone, or has framed it wrongly (RFC 9112, 7.1)."""


class AsgiReceiver:
	"""Receives webhooks over `threads` threads; sheds with 503 what comes while `connections` are being served."""

	def __init__(self, receiver: Receiver, threads: int, connections: int = CONNECTIONS) -> None:
		self._receiver = receiver
		self._threads = _Threads(threads)
		self._patiences = _Patiences()
		self._most = connections
		self._open = self._held = 0

	async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
		if scope["type"] != "http":
			return
		try:
			answer = await self._answer(scope, receive)
		except _BrokenOff:
			# A server tells both alike, and would answer with an error of its own if nobody else did.
			answer = Response(400, "body_incomplete", headers=(("Connection", "close"),))
		start, text = _messages(answer)
		await send(start)
		await send(_NO_TEXT if scope["method"] == "HEAD" else text)

	async def _answer(self, scope: Scope, receive: Receive) -> Response:
		if not _names_host(scope):
			return Response(400, "host_wrong", headers=(("Connection", "close"),))
		if scope["path"] == HEALTH:
			return Response(200, "ok")
		integration = integration_at(scope["path"])
		if integration is None:
			return Response(404, "not_found")
		if self._open >= self._most or self._held >= _HELD_BYTES:
			return BUSY
		self._open += 1
		try:
			return await self._receive(scope, receive, integration)
		finally:
			self._open -= 1

	async def _receive(self, scope: Scope, receive: Receive, integration: str) -> Response:
		headers = joined(
			(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
		)
		patience, body = self._patiences.begin(), _Body(self, receive, integration, headers)
		try:
			whole = await body.read(patience)
		except asyncio.CancelledError:
			if not patience.over:
				raise
			return Response(408, "body_too_slow", headers=(("Connection", "close"),))
		finally:
			self._patiences.end(patience)
			self._held -= body.size
		if not whole:
			return await self._threads.do(self._receiver.too_large, integration, scope["method"]) or BUSY
		request = from_asgi(scope, integration, headers, b"".join(body.chunks))
		return await self._threads.do(self._receiver.receive, request) or BUSY

	def largest_body(self, integration: str) -> Awaitable[int | None]:
		"""Return how many bytes a body may have; None while all threads are busy."""
		return self._threads.do(self._receiver.largest_body, integration)

	def hold(self, size: int) -> None:
		"""Count bytes of bodies that are kept."""
		self._held += size


class _Threads:
	"""Threads that work for an event loop, with less around it than those of concurrent.futures."""

	def __init__(self, count: int) -> None:
		self._waiting: SimpleQueue = SimpleQueue()
		for number in range(count):
			name = f"integration-hub-receiver-{number}"
			threading.Thread(target=self._run, name=name, daemon=True).start()

	def do(self, work: Callable[..., T], *given: Any) -> asyncio.Future[T | None]:
		"""Return what `work` does in a thread; None, and it is not begun, if none is free for too long."""
		loop = asyncio.get_running_loop()
		done = loop.create_future()
		self._waiting.put((time.monotonic() + WAIT_SECONDS, loop, done, work, given))
		return done

	def _run(self) -> None:
		while True:
			until, loop, done, work, given = self._waiting.get()
			result = None
			with logged("A request was not answered"):
				if time.monotonic() < until:
					result = work(*given)
			with suppress(RuntimeError):  # the loop has ended
				loop.call_soon_threadsafe(_settle, done, result)


def _settle(done: asyncio.Future, result: Any) -> None:
	if not done.done():
		done.set_result(result)


class _Patience:
	"""The deadline of a body; bytes that arrive extend it."""

	__slots__ = ("_began", "_task", "over", "until")

	def __init__(self, now: float) -> None:
		self._task, self._began, self.over = asyncio.current_task(), now, False
		self.until = now + BODY_SECONDS

	def extend(self, size: int) -> None:
		"""Allow for `size` bytes in all."""
		self.until = self._began + min(BODY_SECONDS + size / LEAST_RATE, LONGEST_SECONDS)

	def lose(self) -> None:
		self.over = True
		self._task.cancel()


class _Patiences:
	"""The patiences of all bodies on their way, looked at now and then: a timer for each would cost more."""

	def __init__(self) -> None:
		self._all: set[_Patience] = set()
		self._looking: asyncio.AbstractEventLoop | None = None

	def begin(self) -> _Patience:
		loop = asyncio.get_running_loop()
		patience = _Patience(loop.time())
		self._all.add(patience)
		if self._looking is not loop:
			self._looking = loop
			loop.call_later(_LOOK_SECONDS, self._look, loop)
		return patience

	def end(self, patience: _Patience) -> None:
		self._all.discard(patience)

	def _look(self, loop: asyncio.AbstractEventLoop) -> None:
		now = loop.time()
		for patience in [each for each in self._all if each.until <= now]:
			self._all.discard(patience)
			patience.lose()
		loop.call_later(_LOOK_SECONDS, self._look, loop)


class _Body:
	"""A body on its way: its `chunks`, and the `size` of those that are kept."""

	def __init__(
		self, app: AsgiReceiver, receive: Receive, integration: str, headers: Mapping[str, str]
	) -> None:
		self._app, self._receive, self._integration, self._headers = app, receive, integration, headers
		self._limit = 0  # not asked for yet
		self.chunks: list[bytes] = []
		self.size = 0

	async def read(self, patience: _Patience) -> bool:
		"""Read all of it; tell whether it is kept, which it is not where it is too large. Raises _BrokenOff."""
		length = self._length
		fits = await self._fits(length or 0)
		if not fits and "100-continue" in self._headers.get("expect", "").lower():
			return False  # it waits to be told whether to send it
		came, more = 0, length != 0
		while more:
			message = await self._receive()
			if message["type"] != "http.request":
				raise _BrokenOff
			chunk = message.get("body", b"")
			came += len(chunk)
			more = message.get("more_body", False) and came != length
			fits = fits and await self._fits(came)
			self._keep(chunk) if fits else self._drop()
			if came > self._limit + _DRAINED_BYTES:
				return False
			if more:
				patience.extend(came)
		return fits

	@property
	def _length(self) -> int | None:
		"""Return how long the body says that it is, None where it comes in chunks."""
		if "transfer-encoding" in self._headers:
			return None
		length = self._headers.get("content-length", "0")
		return int(length) if length.isdecimal() else None

	async def _fits(self, size: int) -> bool:
		if size <= _SMALL:
			return True
		self._limit = self._limit or await self._app.largest_body(self._integration) or _SMALL
		return size <= self._limit

	def _keep(self, chunk: bytes) -> None:
		self.chunks.append(chunk)
		self.size += len(chunk)
		self._app.hold(len(chunk))

	def _drop(self) -> None:
		self._app.hold(-self.size)
		self.chunks, self.size = [], 0


def _names_host(scope: Scope) -> bool:
	"""Tell whether a request has the one Host header that HTTP/1.1 asks for, or HTTP/1.0 may have (RFC 9112, 3.2).

	Granian gives one that lacks it an empty one, or the host of its target. No target of ours has none.
	"""
	hosts = [value for name, value in scope["headers"] if name == b"host"]
	named = any(hosts) or scope.get("http_version") in ("1", "1.0")
	return named and len(hosts) <= 1 and all(map(_HOST.fullmatch, hosts))


@lru_cache(100)
def _messages(answer: Response) -> tuple[dict[str, Any], dict[str, Any]]:
	"""Return an answer as an ASGI server is told it: few are not the same ones."""
	headers = [
		(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.all_headers
	]
	start = {"type": "http.response.start", "status": answer.status, "headers": headers}
	return start, {"type": "http.response.body", "body": answer.text.encode()}


def from_asgi(scope: Scope, integration: str, headers: Mapping[str, str], body: bytes) -> Request:
	"""Return what arrived as an ASGI server tells it."""
	query = scope["query_string"].decode("latin-1")
	return Request(
		integration, scope["method"], headers, body, _url(scope, headers, query), first_values(query)
	)


def _url(scope: Scope, headers: Mapping[str, str], query: str) -> str:
	"""Return the URL as it was called, escapes and all: some senders sign it."""
	raw = scope.get("raw_path")
	path = raw.decode("latin-1") if raw else quote(scope["path"])
	server = ":".join(str(part) for part in scope.get("server") or ())
	return f"{scope['scheme']}://{headers.get('host') or server}{path}" + (f"?{query}" if query else "")
