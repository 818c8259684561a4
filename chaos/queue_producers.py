"""Producers for the Redis list and the Redis stream. A message counts once Redis has confirmed it."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable

import redis

from chaos.ledger import Ledger
from chaos.settings import LIST, STREAM

_PAUSE = 0.03


class Pusher(threading.Thread):
	"""Messages with an id, without one, as fields, and some that nobody can read."""

	def __init__(
		self, kind: str, client: redis.Redis, ledger: Ledger, seed: int, stop: threading.Event, pace: float
	):
		super().__init__(name=f"pusher-{kind}", daemon=True)
		self._kind, self._redis, self._ledger, self._over = kind, client, ledger, stop
		self._pace = pace
		self._dice = random.Random(f"{seed} {kind}")
		self._put = {"list": self._to_list, "stream": self._to_stream}[kind]

	def run(self) -> None:
		number = 0
		while not self._over.wait(_PAUSE * self._pace):
			number += 1
			mark = f"{self._kind}-{number}"
			if self._dice.random() < 0.03:
				body = f"{mark} \xff no message".encode("latin-1")
				if self._confirmed(self._put, body):
					self._ledger.garbage.add(body)
					self._ledger.count("unreadable")
				continue
			message = {"type": "effect.made", "mark": mark}
			if self._dice.random() < 0.7:
				message["id"] = mark
			self._ledger.sent.add(mark)
			fields = self._kind == "stream" and self._dice.random() < 0.3
			put = self._fields_to_stream if fields else self._put
			if self._confirmed(put, message if fields else json.dumps(message).encode()):
				self._ledger.confirmed.add(mark)
				self._ledger.count(f"on the {self._kind}")

	def _confirmed(self, put: Callable, message: object) -> bool:
		"""Tell whether Redis has said that it keeps a message; it may have it all the same."""
		try:
			put(message)
			return True
		except redis.RedisError:
			self._over.wait(0.1)
			return False

	def _to_list(self, body: bytes) -> None:
		self._redis.lpush(LIST, body)

	def _to_stream(self, body: bytes) -> None:
		self._redis.xadd(STREAM, {"message": body})

	def _fields_to_stream(self, fields: dict[str, str]) -> None:
		self._redis.xadd(STREAM, fields)
