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
from integration_hub.queues.base import BATCH, BATCH_BYTES, SILENT_SECONDS, Consumer, Message
from integration_hub.stores.home import Home
from integration_hub.stores.ids import new_id

# Moves up to ARGV[2] messages, no more once they have ARGV[3] bytes, from the arrived list and the queue to the
# processing list, each behind a stamp `<ARGV[1]>-<number>:`. Returns the stamped messages, oldest first.
_TAKE = """
local taken, bytes = {}, 0
for number = 1, tonumber(ARGV[2]) do
	local message = redis.call('RPOP', KEYS[2]) or redis.call('RPOP', KEYS[1])
	if not message then break end
	taken[number] = ARGV[1] .. '-' .. number .. ':' .. message
	redis.call('LPUSH', KEYS[3], taken[number])
	bytes = bytes + #message
	if bytes >= tonumber(ARGV[3]) then break end
end
return taken
"""


class ListConsumer(Consumer):
	"""Its lists are the queue's name with `:arrived:NAME` and `:processing:NAME`."""

	kind = "List"

	def __init__(self, home: Home, config: IntegrationConfig, client: redis.Redis, name: str = "consumer"):
		super().__init__(home, config, client, name)
		self.arrived, self.processing = self._lists(name)
		self._names = f"{self.queue}:consumers"
		self._take = client.register_script(_TAKE)

	def recover(self, until: float = math.inf) -> bool:
		if not self._recover(self.name, until):
			return False
		for other in self.redis.smembers(self._names):
			name = other.decode()
			if name != self.name and not self.redis.exists(self._alive(name)):
				if not self._recover(name, until):
					return False
				self.redis.srem(self._names, name)
		return True

	def read(self, block: float) -> list[Message]:
		self.redis.sadd(self._names, self.name)
		self.redis.set(self._alive(self.name), "1", ex=SILENT_SECONDS)
		if block:
			self.redis.blmove(self.queue, self.arrived, block, src="RIGHT", dest="LEFT")
		keys = [self.queue, self.arrived, self.processing]
		stamped = self._take(keys=keys, args=[new_id(), BATCH, BATCH_BYTES])
		return [_message(item) for item in stamped]

	def acknowledge(self, pipe: redis.client.Pipeline, messages: Sequence[Message]) -> None:
		for message in messages:
			pipe.lrem(self._held_in, -1, message.token)

	def leave(self) -> None:
		self.redis.delete(self._alive(self.name))
		if not self.redis.exists(self.arrived, self.processing):  # else others find it by the name
			self.redis.srem(self._names, self.name)

	@property
	def _held_in(self) -> str:
		return self._recovering or self.processing

	_recovering = ""  # the processing list of the consumer whose messages are taken up

	def _recover(self, name: str, until: float) -> bool:
		arrived, processing = self._lists(name)
		while self.redis.lmove(arrived, self.queue, src="RIGHT", dest="RIGHT"):
			pass
		self._recovering = processing
		try:
			while batch := self.redis.lrange(processing, -BATCH, -1):
				self.store([_message(item) for item in batch[::-1]])
				if time.monotonic() >= until:
					break
		finally:
			self._recovering = ""
		return not self.redis.exists(processing)

	def _lists(self, name: str) -> tuple[str, str]:
		return f"{self.queue}:arrived:{name}", f"{self.queue}:processing:{name}"

	def _alive(self, name: str) -> str:
		return f"{self.queue}:alive:{name}"


def _message(item: bytes) -> Message:
	stamp, colon, body = item.partition(b":")
	if not (colon and stamp.isascii()):  # not put there by a consumer: it is what it is
		return Message(item, "", item)
	return Message(item, stamp.decode(), body)
