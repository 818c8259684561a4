"""Connections to the receiver that take their time, and whether it answers others meanwhile."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import requests

_POST = b"POST /webhooks/crm HTTP/1.1\r\nHost: x\r\n"
BODY = _POST + b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n400\r\n{"
HEAD = _POST + b"X-Slow: "
_BEGINNINGS = (BODY, CHUNKED, HEAD, b"")  # the last of them says nothing at all
_DRIP = 0.5  # seconds between two bytes
_PATIENCE = 15.0  # seconds for /health, on a machine that does much else
_OWN_FILES = 256


@dataclass
class SlowConnectionCounts:
	"""Counts of the crowds of a run. healthy: how often /health answered, after `longest` seconds at most."""

	opened: int = 0
	answers: Counter[str] = field(default_factory=Counter)
	healthy: int = 0
	longest: float = 0.0
	silent: list[str] = field(default_factory=list)


class SlowConnections:
	"""So many connections to a port of this machine, from when it is made until it is dispersed.

	undisturbed: returns what stays the same as long as nothing else is done to the receiver, None while something is.
	"""

	def __init__(self, port: int, count: int, found: SlowConnectionCounts, undisturbed: Callable[[], object]):
		self._port, self._found, self._undisturbed = port, found, undisturbed
		self._places: list[socket.socket | None] = [None] * min(count, _room())
		self._over = threading.Event()
		self._answered: object = None  # what was undisturbed when /health answered last
		self._threads = [
			threading.Thread(target=work, name=name, daemon=True)
			for name, work in (("crowd", self._drip), ("health", self._ask))
		]
		for thread in self._threads:
			thread.start()

	def disperse(self) -> None:
		"""Close all of them, and wait until that is done."""
		self._over.set()
		for thread in self._threads:
			thread.join()

	def _drip(self) -> None:
		while not self._over.is_set():
			with suppress(OSError):  # it does not listen: at the next turn
				for place in range(len(self._places)):
					self._keep(place)
			self._over.wait(_DRIP)
		for place in range(len(self._places)):
			self._leave(place)

	def _keep(self, place: int) -> None:
		"""Send one byte more, or begin where nothing is; leave what was answered or closed."""
		if not self._places[place]:
			begun = self._places[place] = socket.create_connection(("127.0.0.1", self._port), 1)
			self._found.opened += 1
			begun.sendall(_BEGINNINGS[place % len(_BEGINNINGS)])
			begun.setblocking(False)
			return
		try:
			if _BEGINNINGS[place % len(_BEGINNINGS)]:
				self._places[place].send(b"x")
			answer = self._places[place].recv(1000)
			self._found.answers[answer[9:12].decode("latin-1") or "closed"] += 1
			self._leave(place)
		except BlockingIOError:
			pass
		except OSError:
			self._found.answers["closed"] += 1
			self._leave(place)

	def _leave(self, place: int) -> None:
		if left := self._places[place]:
			left.close()
			self._places[place] = None

	def _ask(self) -> None:
		while not self._over.wait(_DRIP):
			before, began = self._undisturbed(), time.monotonic()
			try:
				requests.get(f"http://127.0.0.1:{self._port}/health", timeout=_PATIENCE).raise_for_status()
				problem = ""
			except requests.RequestException as error:
				problem = type(error).__name__
			if before is not None and before == self._undisturbed():
				self._note(before, problem, time.monotonic() - began)

	def _note(self, undisturbed: object, problem: str, seconds: float) -> None:
		if not problem:
			self._answered = undisturbed
			self._found.healthy += 1
			self._found.longest = max(self._found.longest, seconds)
		elif undisturbed == self._answered:  # else it begins just now
			self._found.silent.append(problem)


def _room() -> int:
	"""Return how many connections this process may have beside what else it has open."""
	return max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OWN_FILES, 1)
