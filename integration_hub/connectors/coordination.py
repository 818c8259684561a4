"""Coordination of processes that talk to the same external system: locks, rate budgets, short notes.

Through Redis where there is one; else within this process, and `shared` says so.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import wraps
from typing import Any, Protocol

import redis

from integration_hub.terminal_text import logger_of

logger = logger_of("integration_hub.connectors")

_UNREACHABLE = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)

_RETRY_REDIS = 15.0
_LONGEST_PAUSE = 691_200.0  # eight days: a source may ask for a week
_LOOK_SECONDS = 0.05

# Generic cell rate algorithm: one timestamp a key says when the next request may leave. Redis' own clock
# decides, so hosts need not agree on the time. Returns the seconds to wait, as a string.
_GCRA = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local interval = tonumber(ARGV[1])
local longest = tonumber(ARGV[2])
local due = tonumber(redis.call('GET', KEYS[1]) or now)
-- Nobody is put off for longer: the clock was ahead when that was written.
if due < now or due > now + 691200 then due = now end
local wait = due - now
if wait > longest then return tostring(wait) end
redis.call('SET', KEYS[1], string.format('%.6f', due + interval), 'PX', math.ceil((wait + interval) * 1000) + 1000)
return tostring(wait)
"""

# Nothing leaves before now + ARGV[1]; a later time that is set already stays.
_POSTPONE = """
local t = redis.call('TIME')
local until_ = tonumber(t[1]) + tonumber(t[2]) / 1000000 + tonumber(ARGV[1])
local due = tonumber(redis.call('GET', KEYS[1]) or 0)
if due < until_ or due > until_ + 691200 then
	redis.call('SET', KEYS[1], string.format('%.6f', until_), 'PX', math.ceil(tonumber(ARGV[1]) * 1000) + 1000)
end
"""

_COUNT = """
local n = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return n
"""


class Coordination(Protocol):
	"""Locks, request budgets, counters and notes, by name, that everything working for one runtime shares.

	shared: whether other processes see them too."""

	shared: bool

	def lock(self, name: str, seconds: float, wait: float | None = None) -> AbstractContextManager[None]:
		"""Return a context manager that holds the lock `name`; it frees itself after `seconds`.

		Raises TimeoutError if it was not free within that time, or within `wait` seconds.
		"""

	def reserve(self, name: str, interval: float, longest: float) -> float:
		"""Reserve the next slot of a budget that lets one request out every `interval` seconds.

		Returns the seconds to wait before using it. A result above `longest` reserved nothing.
		"""

	def wait(self, name: str) -> float:
		"""Return the seconds until the next request of this budget may leave, and reserve nothing."""

	def postpone(self, name: str, seconds: float) -> None:
		"""Let no request of this budget out for `seconds`."""

	def count(self, name: str, seconds: float) -> int:
		"""Add one to a counter that is forgotten after `seconds` without a count; return its value."""

	def claim(self, name: str, value: str, seconds: float) -> bool:
		"""Note a value for `seconds` if there is none yet; tell whether this call noted it."""

	def noted(self, name: str) -> tuple[str, float] | None:
		"""Return the value noted or counted under a name and the seconds it still holds, else None."""

	def forget(self, *names: str) -> None:
		"""Drop counters and notes."""


Lock = Callable[[str], AbstractContextManager[bool]]


class LocalCoordination:
	"""Coordination within one process, for the runtime without Redis.

	lock: tries to take a lock that processes have in common; its block gets True if it was free.
	"""

	shared = False

	def __init__(self, lock: Lock | None = None) -> None:
		self._lock_of_all = lock
		self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
		self._due: dict[str, float] = {}
		self._notes: dict[str, tuple[str, float]] = {}
		self._guard = threading.RLock()

	@contextmanager
	def lock(self, name: str, seconds: float, wait: float | None = None) -> Iterator[None]:
		"""Hold the lock for the block; raises TimeoutError after `wait` seconds."""
		with self._guard:
			lock = self._locks[name]
		wait = seconds if wait is None else wait
		until = time.monotonic() + wait
		if not lock.acquire(timeout=wait):
			raise TimeoutError(f"Lock {name} was not free within {wait:.0f} s.")
		try:
			with self._among_processes(name, until):
				yield
		finally:
			lock.release()

	@contextmanager
	def _among_processes(self, name: str, until: float) -> Iterator[None]:
		if not self._lock_of_all:
			yield
			return
		while True:
			with self._lock_of_all(name) as free:
				if free:
					yield
					return
			if time.monotonic() >= until:
				raise TimeoutError(f"Another process holds the lock {name}.")
			time.sleep(_LOOK_SECONDS)

	def reserve(self, name: str, interval: float, longest: float) -> float:
		"""Reserve the budget's next slot; return the seconds until it comes."""
		with self._guard:
			now = time.monotonic()
			due = max(self._due.get(name, now), now)
			if due - now <= longest:
				self._due[name] = due + interval
			return due - now

	def wait(self, name: str) -> float:
		"""Return the seconds until the budget's next slot, and reserve nothing."""
		with self._guard:
			return max(self._due.get(name, 0.0) - time.monotonic(), 0.0)

	def postpone(self, name: str, seconds: float) -> None:
		"""Move the budget's next slot to at least `seconds` from now."""
		with self._guard:
			self._due[name] = max(self._due.get(name, 0.0), time.monotonic() + seconds)

	def count(self, name: str, seconds: float) -> int:
		"""Add one to the counter and return its value; it lasts `seconds`."""
		with self._guard:
			found = self.noted(name)
			number = int(found[0]) + 1 if found else 1
			self._notes[name] = (str(number), time.monotonic() + seconds)
			return number

	def claim(self, name: str, value: str, seconds: float) -> bool:
		"""Note `value` for `seconds` unless something is noted; tell whether it was."""
		with self._guard:
			if self.noted(name):
				return False
			self._notes[name] = (value, time.monotonic() + seconds)
			return True

	def noted(self, name: str) -> tuple[str, float] | None:
		"""Return the noted value and the seconds it still holds, None where there is none."""
		with self._guard:
			value, until = self._notes.get(name, ("", 0.0))
			left = until - time.monotonic()
			return (value, left) if left > 0 else None

	def forget(self, *names: str) -> None:
		"""Drop the counters and notes of these names."""
		with self._guard:
			for name in names:
				self._notes.pop(name, None)


def _or_local(method: Callable) -> Callable:
	"""Do within this process, and log it, what Redis cannot be reached for."""

	@wraps(method)
	def wrapper(self: RedisCoordination, *args: Any) -> Any:
		if self.shared:
			try:
				return method(self, *args)
			except _UNREACHABLE as error:
				self._lose(error)
		return getattr(self._local, method.__name__)(*args)

	return wrapper


class RedisCoordination:
	"""Coordination across all processes and hosts that use the same Redis; within this process while it is away.

	namespace: keeps sites that share a Redis apart.
	"""

	def __init__(
		self, client: redis.Redis, namespace: str = "", local: LocalCoordination | None = None
	) -> None:
		self._lost_until = 0.0
		self._redis = client
		self._prefix = f"integration_hub:{namespace}:"
		self._local = local or LocalCoordination()
		self._gcra = client.register_script(_GCRA)
		self._postpone = client.register_script(_POSTPONE)
		self._count = client.register_script(_COUNT)

	@property
	def shared(self) -> bool:
		"""Tell whether Redis is in use: after it was lost, this process is on its own for a while."""
		return time.monotonic() >= self._lost_until

	@contextmanager
	def lock(self, name: str, seconds: float, wait: float | None = None) -> Iterator[None]:
		"""Hold the lock in Redis for the block, in this process alone while Redis is lost; raises TimeoutError."""
		wait = seconds if wait is None else wait
		lock = self._redis.lock(self._key("lock", name), timeout=seconds, blocking_timeout=wait)
		try:
			taken = lock.acquire() if self.shared else None
		except _UNREACHABLE as error:
			self._lose(error)
			taken = None
		if taken is None:
			with self._local.lock(name, seconds, wait):
				yield
			return
		if not taken:
			raise TimeoutError(f"Lock {name} was not free within {wait:.0f} s.")
		try:
			# Another process may not reach Redis, and hold the lock that is left then.
			with self._local.lock(name, seconds, wait):
				yield
		finally:
			# The lock may have run out meanwhile: then its new holder keeps it.
			with suppress(redis.exceptions.LockError, *_UNREACHABLE):
				lock.release()

	@_or_local
	def reserve(self, name: str, interval: float, longest: float) -> float:
		"""Reserve the budget's next slot in Redis, in one step; return the seconds until it comes."""
		return float(self._gcra(keys=[self._key("budget", name)], args=[interval, longest]))

	@_or_local
	def wait(self, name: str) -> float:
		"""Return the seconds until the budget's next slot, by the clock of Redis."""
		due = self._redis.execute_command("GET", self._key("budget", name))
		seconds, microseconds = self._redis.time()
		left = max(float(due or 0) - seconds - microseconds / 1_000_000, 0.0)
		return left if left <= _LONGEST_PAUSE else 0.0

	@_or_local
	def postpone(self, name: str, seconds: float) -> None:
		"""Move the budget's next slot in Redis to at least `seconds` from now."""
		self._postpone(keys=[self._key("budget", name)], args=[seconds])

	@_or_local
	def count(self, name: str, seconds: float) -> int:
		"""Add one to the counter in Redis and return its value; it lasts `seconds`."""
		return int(self._count(keys=[self._key("note", name)], args=[int(seconds * 1000)]))

	@_or_local
	def claim(self, name: str, value: str, seconds: float) -> bool:
		"""Note `value` in Redis for `seconds` unless something is noted; tell whether it was."""
		key, milliseconds = self._key("note", name), max(int(seconds * 1000), 1)
		return bool(self._redis.execute_command("SET", key, value, "NX", "PX", milliseconds))

	@_or_local
	def noted(self, name: str) -> tuple[str, float] | None:
		"""Return the value noted in Redis and the seconds it still holds, None where there is none."""
		key = self._key("note", name)
		value, left = self._redis.execute_command("GET", key), self._redis.execute_command("PTTL", key)
		if value is None or left <= 0:
			return None
		return (value.decode() if isinstance(value, bytes) else value), left / 1000

	@_or_local
	def forget(self, *names: str) -> None:
		"""Drop the counters and notes of these names from Redis."""
		if names:
			self._redis.execute_command("DEL", *(self._key("note", name) for name in names))

	def _key(self, kind: str, name: str) -> str:
		return f"{self._prefix}{kind}:{name}"

	def _lose(self, error: Exception) -> None:
		"""Go on within this process for a while, then try Redis again."""
		self._lost_until = time.monotonic() + _RETRY_REDIS
		logger.warning("Redis is not reachable (%s): budgets and locks hold for this process only", error)
