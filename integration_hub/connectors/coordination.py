"""What processes that talk to the same external system share: locks and rate budgets.

Through Redis where there is one; else within this process, and `shared` says so.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import redis

_PREFIX = "integration_hub:"

# Generic cell rate algorithm: one timestamp a key says when the next request may leave. Redis' own clock
# decides, so hosts need not agree on the time. Returns the seconds to wait, as a string.
_GCRA = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local interval = tonumber(ARGV[1])
local longest = tonumber(ARGV[2])
local due = tonumber(redis.call('GET', KEYS[1]) or now)
if due < now then due = now end
local wait = due - now
if wait > longest then return tostring(wait) end
redis.call('SET', KEYS[1], string.format('%.6f', due + interval), 'PX', math.ceil((wait + interval) * 1000) + 1000)
return tostring(wait)
"""


class Coordination(Protocol):
	shared: bool

	def lock(self, name: str, seconds: float):
		"""Return a context manager that holds the lock `name`; it frees itself after `seconds`."""

	def reserve(self, name: str, interval: float, longest: float) -> float:
		"""Reserve the next slot of a budget that lets one request out every `interval` seconds.

		Returns the seconds to wait before using it. A result above `longest` reserved nothing.
		"""

	def postpone(self, name: str, seconds: float) -> None:
		"""Let no request of this budget out for `seconds` (the server asked for a pause)."""


class LocalCoordination:
	"""Within one process: for the home without Redis."""

	shared = False

	def __init__(self) -> None:
		self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
		self._due: dict[str, float] = {}
		self._guard = threading.Lock()

	@contextmanager
	def lock(self, name: str, seconds: float) -> Iterator[None]:
		with self._guard:
			lock = self._locks[name]
		if not lock.acquire(timeout=seconds):
			raise TimeoutError(f"Lock {name} was not free within {seconds:.0f} s.")
		try:
			yield
		finally:
			lock.release()

	def reserve(self, name: str, interval: float, longest: float) -> float:
		with self._guard:
			now = time.monotonic()
			due = max(self._due.get(name, now), now)
			if due - now <= longest:
				self._due[name] = due + interval
			return due - now

	def postpone(self, name: str, seconds: float) -> None:
		with self._guard:
			self._due[name] = max(self._due.get(name, 0.0), time.monotonic() + seconds)


class RedisCoordination:
	"""Across all processes and hosts that use the same Redis."""

	shared = True

	def __init__(self, client: redis.Redis, namespace: str = ""):
		self._redis = client
		self._prefix = f"{_PREFIX}{namespace}:"
		self._gcra = client.register_script(_GCRA)

	@contextmanager
	def lock(self, name: str, seconds: float) -> Iterator[None]:
		lock = self._redis.lock(f"{self._prefix}lock:{name}", timeout=seconds, blocking_timeout=seconds)
		if not lock.acquire():
			raise TimeoutError(f"Lock {name} was not free within {seconds:.0f} s.")
		try:
			yield
		finally:
			# It may have run out meanwhile: whoever holds it now keeps it.
			with suppress(redis.exceptions.LockError):
				lock.release()

	def reserve(self, name: str, interval: float, longest: float) -> float:
		return float(self._gcra(keys=[f"{self._prefix}budget:{name}"], args=[interval, longest]))

	def postpone(self, name: str, seconds: float) -> None:
		# A pause is a slot as long as the pause; reserving it moves everyone behind it.
		self._gcra(keys=[f"{self._prefix}budget:{name}"], args=[seconds, 10**9])
