"""A Redis stream as a queue, read as a consumer group: https://redis.io/docs/latest/develop/data-types/streams/

What a consumer has read and not acknowledged stays pending: it finds it again under its name, and others take
it up once it has been idle for a while. An entry whose only field is called `message`, `body`, `data` or the like, or
holds JSON, has its message there; of any other entry, the fields are the message.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.queues.base import BATCH, BATCH_BYTES, SILENT_SECONDS, Consumer, Follow, Message
from integration_hub.queues.dead_letters import DeadLetter
from integration_hub.queues.redis_servers import is_full
from integration_hub.stores.runtime import Runtime

_LAST_NUMBER = 2**64 - 1
_HOLDERS = frozenset(b"message msg body payload data event json value".split())
_BURY = """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) > 0 then
	redis.call('LPUSH', KEYS[2], ARGV[3])
end
"""
_CAREFUL = 10  # entries of the first batch, before their size is known


class StreamConsumer(Consumer):
	"""Reads as one consumer of the group the settings name; makes the group where there is none."""

	kind = "Stream"

	def __init__(
		self,
		runtime: Runtime,
		config: IntegrationConfig,
		client: redis.Redis,
		name: str = "consumer",
		follow: Follow | None = None,
	) -> None:
		super().__init__(runtime, config, client, name, follow)
		self.group = config.queue_group
		# Up to here everything is acknowledged: where a group that got lost begins again.
		self._mark = f"{self.prefix}:done:{self.group}"
		self._size = BATCH_BYTES // _CAREFUL  # bytes of the largest entry, as far as they were large lately

	def take_up(self, until: float = math.inf) -> bool:
		"""Store this consumer's pending messages and those of silent ones (XAUTOCLAIM); False if `until` came first."""
		self._make_group()
		while batch := self._entries("0"):
			self.store([_message(*entry) for entry in batch])
			if time.monotonic() >= until:
				return False
		start = b"0-0"
		while True:
			start, batch, *_ = self.redis.xautoclaim(
				self.queue, self.group, self.name, SILENT_SECONDS * 1000, start, count=self._count
			)
			self._weigh(batch)
			if messages := [_message(*entry) for entry in batch if entry[0]]:
				self.store(messages)
			if start == b"0-0":
				return True
			if time.monotonic() >= until:
				return False

	def read(self, block: float) -> list[Message]:
		"""Read new entries, waiting up to `block` seconds; makes the consumer group again if it is gone."""
		try:
			return [_message(*entry) for entry in self._entries(">", block)]
		except redis.ResponseError as error:
			if not str(error).startswith("NOGROUP"):
				raise
			self._make_group()
			return [_message(*entry) for entry in self._entries(">", block)]

	def waiting(self) -> int | None:
		"""Return the group's lag, which Redis tells from version 7 on, unless entries were deleted."""
		for group in self.redis.xinfo_groups(self.queue):
			if group["name"] in (self.group, self.group.encode()):
				return group.get("lag")
		return None

	def acknowledge(self, pipe: redis.client.Pipeline, messages: Sequence[Message]) -> None:
		"""Acknowledge stored entries (XACK)."""
		pipe.xack(self.queue, self.group, *(message.token for message in messages))

	def bury(self, message: Message, dead_letter: DeadLetter) -> None:
		"""Acknowledge an entry and add its dead letter, in one step."""
		self.script(_BURY)(keys=[self.queue, self.dead], args=[self.group, message.token, dead_letter.text()])

	def store(self, messages: Sequence[Message]) -> None:
		"""Store a batch, then mark how far the stream was read, for a group that has to be made again."""
		super().store(messages)
		pending = self.redis.xpending(self.queue, self.group)
		last = max((message.token for message in messages), key=_order)
		with (
			_unless_full()
		):  # an older mark is good enough: entries that are read twice are known by their id
			self.redis.set(self._mark, _before(pending["min"]) if pending["pending"] else last)

	def _entries(self, since: str, block: float = 0.0) -> list[tuple[bytes, Any]]:
		milliseconds = int(block * 1000) or None
		found = self.redis.xreadgroup(
			self.group, self.name, {self.queue: since}, count=self._count, block=milliseconds
		)
		entries = found[0][1] if found else []
		self._weigh(entries)
		return entries

	@property
	def _count(self) -> int:
		"""Return how many entries to ask for: Redis counts them, and does not weigh them."""
		return max(1, min(BATCH, BATCH_BYTES // max(self._size, 1)))

	def _weigh(self, entries: Sequence[tuple[bytes, Mapping[bytes, bytes] | None]]) -> None:
		"""Learn from a batch: at once that entries are large, and slowly that they are small again."""
		if entries:
			sizes = [sum(map(len, fields.values())) if fields else 0 for _, fields in entries]
			self._size = max(*sizes, self._size // 2)

	def _make_group(self) -> None:
		"""Make the group, to read from where everything is acknowledged: at first, from the beginning.

		What is read twice is known by its id and stored once.
		"""
		mark = self.redis.get(self._mark)
		if not mark and self.former:
			mark = self.redis.get(f"{self.queue}:done:{self.group}")
		try:
			with _unless_full():  # then it cannot be made, and need not where there is one
				self.redis.xgroup_create(self.queue, self.group, mark or "0", mkstream=True)
		except redis.ResponseError as error:
			if not str(error).startswith("BUSYGROUP"):
				raise


@contextmanager
def _unless_full() -> Iterator[None]:
	"""Do the block, or leave it where Redis has no memory for it."""
	try:
		yield
	except redis.ResponseError as error:
		if not is_full(error):
			raise


def _message(identity: bytes, fields: Mapping[bytes, bytes] | None) -> Message:
	if not fields:  # trimmed before it was acknowledged: a person has to know
		return Message(identity, identity.decode(), identity, "entry_trimmed")
	if len(fields) == 1 and _holds_message(*next(iter(fields.items()))):
		return Message(identity, identity.decode(), next(iter(fields.values())))
	try:
		body = json.dumps({name.decode(): value.decode() for name, value in fields.items()}).encode()
	except UnicodeError:
		return Message(identity, identity.decode(), repr(fields).encode(), "body_not_utf8")
	return Message(identity, identity.decode(), body)


def _holds_message(name: bytes, value: bytes) -> bool:
	"""Tell whether the only field of an entry holds its message, or is one field of a message like others."""
	return name.lower() in _HOLDERS or value.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def _order(identity: bytes) -> tuple[int, int]:
	milliseconds, _, number = identity.partition(b"-")
	return int(milliseconds), int(number or 0)


def _before(identity: bytes) -> str:
	"""Return the id before one: a group begins after the id it is given."""
	milliseconds, number = _order(identity)
	return f"{milliseconds}-{number - 1}" if number else f"{milliseconds - 1}-{_LAST_NUMBER}"
