"""The dedicated door as an ASGI application: https://asgi.readthedocs.io/en/latest/specs/www.html

Bodies are read in the event loop, under a deadline and a least rate, and only a request that has come whole is
handed to a thread. So a slow sender holds a connection and nothing else, and `/health` waits for nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote

from integration_hub.webhooks.messages import (
	BUSY,
	HEALTH,
	MEGABYTE,
	Answer,
	Request,
	first_values,
	integration_at,
	joined,
)
from integration_hub.webhooks.receiver import Receiver

T = TypeVar("T")
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

CONNECTIONS = 1000  # requests in progress at a time, unless set
BODY_SECONDS = 10.0  # for a body, and
LEAST_RATE = 50_000  # a second more for each so many bytes that have come
LONGEST_SECONDS = 120.0
WAIT_SECONDS = 5.0  # for a thread: senders wait no longer
_HELD_BYTES = 256 * MEGABYTE  # of bodies at a time, whoever sends them
_DRAINED_BYTES = 64 * MEGABYTE  # of one that is refused: a sender that has sent all of it reads the answer
_SMALL = MEGABYTE  # a body that any integration takes


class _Gone(Exception):
	"""The sender has closed the connection: there is nobody to answer."""


class AsgiReceiver:
	"""Receives webhooks over `threads` threads; sheds with 503 what comes while `connections` are being served."""

	def __init__(self, receiver: Receiver, threads: int, connections: int = CONNECTIONS):
		self._receiver = receiver
		self._threads = ThreadPoolExecutor(threads, "integration-hub-receiver")
		self._most = connections
		self._open = self._held = 0

	async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
		if scope["type"] != "http":
			return
		try:
			answer = await self._answer(scope, receive)
		except _Gone:
			return
		await _send(send, answer, scope["method"])

	async def _answer(self, scope: Scope, receive: Receive) -> Answer:
		if scope["path"] == HEALTH:
			return Answer(200, "ok")
		integration = integration_at(scope["path"])
		if integration is None:
			return Answer(404, "not_found")
		if self._open >= self._most or self._held >= _HELD_BYTES:
			return BUSY
		self._open += 1
		try:
			return await self._receive(scope, receive, integration)
		finally:
			self._open -= 1

	async def _receive(self, scope: Scope, receive: Receive, integration: str) -> Answer:
		headers = joined(
			(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
		)
		patience, body = _Patience(), _Body(self, receive, integration, headers)
		try:
			whole = await body.read(patience)
		except asyncio.CancelledError:
			if not patience.over:
				raise
			return Answer(408, "body_too_slow", headers=(("Connection", "close"),))
		finally:
			patience.end()
			self._held -= body.size
		if not whole:
			return await self.in_thread(self._receiver.too_large, integration, scope["method"]) or BUSY
		request = from_asgi(scope, integration, headers, b"".join(body.chunks))
		return await self.in_thread(self._receiver.receive, request) or BUSY

	def largest_body(self, integration: str) -> Awaitable[int | None]:
		return self.in_thread(self._receiver.largest_body, integration)

	def hold(self, size: int) -> None:
		"""Count bytes of bodies that are kept."""
		self._held += size

	async def in_thread(self, work: Callable[..., T], *given: Any) -> T | None:
		"""Return what `work` does in a thread; None, and it is not begun, if none is free for too long."""
		until = time.monotonic() + WAIT_SECONDS

		def begin() -> T | None:
			return work(*given) if time.monotonic() < until else None

		return await asyncio.get_running_loop().run_in_executor(self._threads, begin)


class _Patience:
	"""How long a body may take: cancels its task when that is over. What has come extends it."""

	over = False

	def __init__(self) -> None:
		self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
		self._began = self._loop.time()
		self._timer = self._loop.call_at(self._began + BODY_SECONDS, self._end)

	def extend(self, size: int) -> None:
		"""Allow for `size` bytes in all."""
		self._timer.cancel()
		seconds = min(BODY_SECONDS + size / LEAST_RATE, LONGEST_SECONDS)
		self._timer = self._loop.call_at(self._began + seconds, self._end)

	def end(self) -> None:
		self._timer.cancel()

	def _end(self) -> None:
		self.over = True
		self._task.cancel()


class _Body:
	"""A body on its way: its `chunks`, and the `size` of those that are kept."""

	def __init__(self, door: AsgiReceiver, receive: Receive, integration: str, headers: Mapping[str, str]):
		self._door, self._receive, self._integration, self._headers = door, receive, integration, headers
		self._limit = 0  # not asked for yet
		self.chunks: list[bytes] = []
		self.size = 0

	async def read(self, patience: _Patience) -> bool:
		"""Read all of it; tell whether it is kept, which it is not where it is too large. Raises _Gone."""
		length = self._length
		fits = await self._fits(length or 0)
		if not fits and "100-continue" in self._headers.get("expect", "").lower():
			return False  # it waits to be told whether to send it
		came, more = 0, length != 0
		while more:
			message = await self._receive()
			if message["type"] != "http.request":
				raise _Gone
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
		self._limit = self._limit or await self._door.largest_body(self._integration) or _SMALL
		return size <= self._limit

	def _keep(self, chunk: bytes) -> None:
		self.chunks.append(chunk)
		self.size += len(chunk)
		self._door.hold(len(chunk))

	def _drop(self) -> None:
		self._door.hold(-self.size)
		self.chunks, self.size = [], 0


async def _send(send: Send, answer: Answer, method: str) -> None:
	headers = [
		(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.all_headers
	]
	await send({"type": "http.response.start", "status": answer.status, "headers": headers})
	await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.text.encode()})


def from_asgi(scope: Scope, integration: str, headers: Mapping[str, str], body: bytes) -> Request:
	"""Return what arrived as an ASGI server tells it."""
	query = scope["query_string"].decode("latin-1")
	return Request(
		integration, scope["method"], headers, body, _url(scope, headers, query), first_values(query)
	)


def _url(scope: Scope, headers: Mapping[str, str], query: str) -> str:
	"""The URL as it was called, escapes and all: some senders sign it."""
	raw = scope.get("raw_path")
	path = raw.decode("latin-1") if raw else quote(scope["path"])
	server = ":".join(str(part) for part in scope.get("server") or ())
	return f"{scope['scheme']}://{headers.get('host') or server}{path}" + (f"?{query}" if query else "")
