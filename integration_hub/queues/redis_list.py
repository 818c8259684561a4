"""A Redis list as a queue: the reliable queue of the Redis documentation of LMOVE.

A message moves to this consumer's own lists when it is read and leaves them when its row is committed. On the
way it is stamped with an id, so that a message without one is stored once, however often it is found again,
while two equal messages stay two.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import redis

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.queues.base import BATCH, BATCH_BYTES, SILENT_SECONDS, Consumer, Follow, Message
from integration_hub.queues.dead_letters import DeadLetter
from integration_hub.queues.redis_servers import is_full
from integration_hub.stores.ids import new_id
from integration_hub.stores.runtime import Runtime

# In each script the commands that free memory come first: even without memory left, Redis allows the others then.

# Moves up to ARGV[2] messages, no more once they have ARGV[3] bytes, from the arrived list and the queue, by ARGV[4], to
# the processing list, each behind a stamp `<ARGV[1]>-<number>:`. Returns the stamped messages, oldest first. The consumer
# ARGV[5] is noted, for ARGV[6] seconds as alive.
_TAKE = """
local taken, bytes = {}, 0
for number = 1, tonumber(ARGV[2]) do
	local message = redis.call('RPOP', KEYS[2]) or redis.call(ARGV[4], KEYS[1])
	if not message then break end
	if number == 1 then
		redis.call('SADD', KEYS[4], ARGV[5])
		redis.call('SET', KEYS[5], '1', 'EX', ARGV[6])
	end
	taken[number] = ARGV[1] .. '-' .. number .. ':' .. message
	redis.call('LPUSH', KEYS[3], taken[number])
	bytes = bytes + #message
	if bytes >= tonumber(ARGV[3]) then break end
end
return taken
"""
# Puts what has arrived back to the end of the queue that is read, by ARGV[1], the oldest last: it is read first.
_GIVE_BACK = """
local message = redis.call('LPOP', KEYS[1])
while message do
	redis.call(ARGV[1], KEYS[2], message)
	message = redis.call('LPOP', KEYS[1])
end
"""
_BURY = """
if redis.call('LREM', KEYS[1], -1, ARGV[1]) > 0 then
	redis.call('LPUSH', KEYS[2], ARGV[2])
end
"""


class ListConsumer(Consumer):
	"""Reads a list as one of several consumers.

	Its own lists are the queue's name, in braces, with `:arrived:NAME` and `:processing:NAME`.
	"""

	kind = "List"

	def __init__(
		self,
		runtime: Runtime,
		config: IntegrationConfig,
		client: redis.Redis,
		name: str = "consumer",
		follow: Follow | None = None,
	) -> None:
		super().__init__(runtime, config, client, name, follow)
		self._end = "LEFT" if config.queue_end == "Left" else "RIGHT"
		self.arrived, self.processing = self._lists(self.prefix, name)

	def take_up(self, until: float = math.inf) -> bool:
		"""Store the messages that dead consumers left, and this one's own; False if `until` came first."""
		# Earlier versions named their lists without braces: messages left there are the oldest, and go first.
		for prefix in (self.queue, self.prefix) if self.former else (self.prefix,):
			if not self._take_up(prefix, until):
				return False
		return True

	def read(self, block: float) -> list[Message]:
		"""Move a batch to this consumer's list and return it; wait up to `block` seconds for a first message."""
		taken = self._take()
		if not taken and block:
			self._wait(block)
			taken = self._take()
		return [_message(item) for item in taken]

	def acknowledge(self, pipe: redis.client.Pipeline, messages: Sequence[Message]) -> None:
		"""Remove stored messages from this consumer's list."""
		for message in messages:
			pipe.lrem(self._held_in, -1, message.token)

	def bury(self, message: Message, dead_letter: DeadLetter) -> None:
		"""Move a message from this consumer's list to the dead letters, in one step."""
		self.script(_BURY)(keys=[self._held_in, self.dead], args=[message.token, dead_letter.text()])

	def waiting(self) -> int | None:
		"""Return the length of the queue."""
		return self.redis.llen(self.queue)

	def leave(self) -> None:
		"""Take this consumer off the list of names, unless messages of its own are left to take up."""
		self.redis.delete(self._alive(self.name))
		if not self.redis.exists(self.arrived, self.processing):  # else others find it by the name
			self.redis.srem(self._names(self.prefix), self.name)

	def _take(self) -> list[bytes]:
		keys = [self.queue, self.arrived, self.processing, self._names(self.prefix)]
		pop = "LPOP" if self._end == "LEFT" else "RPOP"
		args = [new_id(), BATCH, BATCH_BYTES, pop, self.name, SILENT_SECONDS]
		return self.script(_TAKE)(keys=[*keys, self._alive(self.name)], args=args)

	def _wait(self, seconds: float) -> None:
		"""Wait for a message to arrive."""
		try:
			self.redis.sadd(self._names(self.prefix), self.name)
			self.redis.set(self._alive(self.name), "1", ex=SILENT_SECONDS)
			self.redis.blmove(self.queue, self.arrived, seconds, src=self._end, dest="LEFT")
		except redis.ResponseError as error:
			if not is_full(error):
				raise
			time.sleep(min(seconds, 1.0))  # it moves nothing for us; what comes all the same is taken

	@property
	def _held_in(self) -> str:
		return self._recovering or self.processing

	_recovering = ""  # the processing list of the consumer whose messages are taken up

	def _take_up(self, prefix: str, until: float) -> bool:
		if not self._recover(prefix, self.name, until):
			return False
		for other in self.redis.smembers(self._names(prefix)):
			name = other.decode()
			own = (prefix, name) == (self.prefix, self.name)
			if not own and not self.redis.exists(self._alive(name, prefix)):
				if not self._recover(prefix, name, until):
					return False
				self.redis.srem(self._names(prefix), name)
		return True

	def _recover(self, prefix: str, name: str, until: float) -> bool:
		arrived, processing = self._lists(prefix, name)
		push = "LPUSH" if self._end == "LEFT" else "RPUSH"
		self.script(_GIVE_BACK)(keys=[arrived, self.queue], args=[push])
		self._recovering = processing
		try:
			while batch := self.redis.lrange(processing, -BATCH, -1):
				self.store([_message(item) for item in batch[::-1]])
				if time.monotonic() >= until:
					break
		finally:
			self._recovering = ""
		return not self.redis.exists(processing)

	def _lists(self, prefix: str, name: str) -> tuple[str, str]:
		return f"{prefix}:arrived:{name}", f"{prefix}:processing:{name}"

	def _names(self, prefix: str) -> str:
		return f"{prefix}:consumers"

	def _alive(self, name: str, prefix: str = "") -> str:
		return f"{prefix or self.prefix}:alive:{name}"


def _message(item: bytes) -> Message:
	stamp, colon, body = item.partition(b":")
	if not (colon and stamp.isascii()):  # not put there by a consumer: it is what it is
		return Message(item, "", item)
	return Message(item, stamp.decode(), body)
