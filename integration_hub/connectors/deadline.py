"""A deadline for all of an exchange: whatever drips, each wait on its socket is cut to the time that is left.

A timeout of a socket holds for one wait, so a server that sends a byte now and then is never late. Headers, interim
answers, the framing of chunks, trailers, a proxy's answer and what TLS exchanges are all read through these sockets.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_until: ContextVar[float | None] = ContextVar("integration_hub_deadline", default=None)


class DeadlinePassed(TimeoutError):
	"""The time for the whole exchange is over."""


@contextmanager
def deadline(seconds: float) -> Iterator[float]:
	"""Let no wait of this thread's sockets last beyond `seconds` from now; gives that moment (time.monotonic).

	Within another deadline the earlier one counts.
	"""
	outer, moment = _until.get(), time.monotonic() + seconds
	token = _until.set(moment if outer is None else min(outer, moment))
	try:
		yield _until.get() or moment
	finally:
		_until.reset(token)


def within(timeout: float | None) -> float | None:
	"""Return a timeout, cut to what is left of the deadline. Raises DeadlinePassed where that is nothing."""
	until = _until.get()
	if until is None:
		return timeout
	left = until - time.monotonic()
	if left <= 0:
		raise DeadlinePassed("timed out: the time for the whole exchange is over")
	return left if timeout is None else min(timeout, left)


class _Punctual:
	"""Mixed into sockets: each wait is cut to the deadline."""

	@contextmanager
	def _cut(self) -> Iterator[None]:
		kept = self.gettimeout()
		cut = within(kept)
		if cut == kept or kept == 0:
			yield
			return
		self.settimeout(cut)
		try:
			yield
		finally:
			self.settimeout(kept)

	def recv(self, *args: Any, **options: Any) -> bytes:
		with self._cut():
			return super().recv(*args, **options)

	def recv_into(self, *args: Any, **options: Any) -> int:
		with self._cut():
			return super().recv_into(*args, **options)

	def send(self, *args: Any, **options: Any) -> int:
		with self._cut():
			return super().send(*args, **options)

	def sendall(self, *args: Any, **options: Any) -> None:
		with self._cut():
			return super().sendall(*args, **options)


class PunctualSocket(_Punctual, socket.socket):
	"""A socket that keeps to the deadline."""


class PunctualTLSSocket(_Punctual, ssl.SSLSocket):
	"""A TLS socket that keeps to the deadline; its handshake is bounded by the timeout it begins with."""


def punctual(connected: socket.socket) -> PunctualSocket:
	"""Return a connected socket as one that keeps to the deadline; the given one is no longer to be used."""
	timeout = connected.gettimeout()
	made = PunctualSocket(connected.family, connected.type, connected.proto, fileno=connected.detach())
	made.settimeout(timeout)
	return made


def punctual_tls(context: ssl.SSLContext) -> ssl.SSLContext:
	"""Have a context make TLS sockets that keep to the deadline; return it."""
	context.sslsocket_class = PunctualTLSSocket
	return context
