"""Messages of an external Redis list, into the same inbox as webhooks.

A message moves to this consumer's own lists when it is read and leaves them when its row is committed (the
reliable queue of the Redis documentation of LMOVE): a consumer killed in between finds it there again. On the
way it is stamped with an id, so that a message without one is stored once, however often it is found again,
while two equal messages stay two.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import redis

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.guard import vetted
from integration_hub.stores import inbox
from integration_hub.stores.home import Home, HubError
from integration_hub.stores.ids import new_id
from integration_hub.webhooks.bodies import MalformedEvent, parse_body
from integration_hub.webhooks.events import load_routes, read_event
from integration_hub.webhooks.receive import hand_over

logger = logging.getLogger("integration_hub.queues")

BATCH = 100
_BLOCK_SECONDS = 1.0
_SILENT_SECONDS = 120  # a consumer that says nothing for longer is taken for gone
_LONGEST_BACKOFF = 30.0


@dataclass
class Consumed:
	received: int = 0
	duplicate: int = 0
	conflict: int = 0
	unreadable: int = 0

	@property
	def total(self) -> int:
		return self.received + self.duplicate + self.conflict + self.unreadable


# Moves up to ARGV[2] messages from the arrived list and the queue to the processing list, each behind a
# stamp `<ARGV[1]>-<number>:`. Returns the stamped messages, oldest first.
_TAKE = """
local taken = {}
for number = 1, tonumber(ARGV[2]) do
	local message = redis.call('RPOP', KEYS[2]) or redis.call('RPOP', KEYS[1])
	if not message then break end
	taken[number] = ARGV[1] .. '-' .. number .. ':' .. message
	redis.call('LPUSH', KEYS[3], taken[number])
end
return taken
"""


class Consumer:
	"""Reads one list for one integration.

	name: identifies its own lists; the same name after a restart takes up what was left. Two consumers
	that run at the same time have different names.
	"""

	def __init__(self, home: Home, config: IntegrationConfig, client: redis.Redis, name: str = "consumer"):
		self.home, self.config, self.redis = home, config, client
		self.queue = config.queue_name
		self.name = name
		self.arrived, self.processing = self._lists(name)
		self._names = f"{self.queue}:consumers"
		self.dead = f"{self.queue}:dead"
		self.done = Consumed()
		self._take = client.register_script(_TAKE)

	def recover(self) -> int:
		"""Take up what consumers that are gone had read and not committed; return how many.

		That is an earlier one of this name, and those of other names that have been silent for a while.
		"""
		count = self._recover(self.name)
		for other in self.redis.smembers(self._names):
			name = other.decode()
			if name != self.name and not self.redis.exists(self._alive(name)):
				count += self._recover(name)
				self.redis.srem(self._names, name)
		return count

	def _recover(self, name: str) -> int:
		arrived, processing = self._lists(name)
		while self.redis.lmove(arrived, self.queue, src="RIGHT", dest="RIGHT"):
			pass
		count = 0
		while batch := self.redis.lrange(processing, -BATCH, -1):
			self._store(batch[::-1], processing)
			count += len(batch)
		return count

	def _lists(self, name: str) -> tuple[str, str]:
		return f"{self.queue}:arrived:{name}", f"{self.queue}:processing:{name}"

	def _alive(self, name: str) -> str:
		return f"{self.queue}:alive:{name}"

	def run_once(self, block: float = 0.0) -> int:
		"""Store one batch; wait up to `block` seconds for its first message. Return how many were read."""
		self.redis.sadd(self._names, self.name)
		self.redis.set(self._alive(self.name), "1", ex=_SILENT_SECONDS)
		if block:
			self.redis.blmove(self.queue, self.arrived, block, src="RIGHT", dest="LEFT")
		batch = self._take(keys=[self.queue, self.arrived, self.processing], args=[new_id(), BATCH])
		if batch:
			self._store(batch)
		return len(batch)

	def drain(self) -> Consumed:
		"""Store what waits now, for a scheduled run; return what became of it."""
		self.recover()
		while self.run_once():
			pass
		self.redis.delete(self._alive(self.name))
		self.redis.srem(self._names, self.name)
		return self.done

	def run(self, stop: threading.Event, on_batch: Callable[[Consumed], None] | None = None) -> Consumed:
		"""Consume until `stop` is set; a batch in hand is finished. Reconnects with backoff."""
		failures, recovered = 0, False
		while not stop.is_set():
			try:
				if not recovered:
					self.recover()
					recovered = True
				if self.run_once(block=_BLOCK_SECONDS) and on_batch:
					on_batch(self.done)
				failures = 0
			except Exception as error:  # noqa: BLE001 - Redis or the database is away: nothing is lost meanwhile
				failures, recovered = failures + 1, False
				pause = min(2.0**failures / 2, _LONGEST_BACKOFF)
				self.home.reconnect()
				logger.warning(
					"Queue of %s is not reachable (%s); again in %.0f s",
					self.config.name,
					type(error).__name__,
					pause,
				)
				stop.wait(pause)
		return self.done

	def _store(self, stamped: list[bytes], processing: str = "") -> None:
		"""Commit a batch, then acknowledge it in the list it is in."""
		processing = processing or self.processing
		routes = load_routes(self.home, self.config.name)
		events, unreadable = [], []
		for item in stamped:
			stamp, _, message = item.partition(b":")
			try:
				payload = parse_body(message)
				event = read_event(self.config, message, payload, routes, "Queue", default_id=stamp.decode())
				events.append(event)
			except MalformedEvent as error:
				unreadable.append(dead_letter(message, str(error)))
		verdicts = inbox.store(self.home, events)
		with self.redis.pipeline(transaction=True) as pipe:
			for letter in unreadable:
				pipe.lpush(self.dead, letter)
			for item in stamped:
				pipe.lrem(processing, -1, item)
			pipe.execute()
		for verdict in verdicts:
			setattr(self.done, verdict, getattr(self.done, verdict) + 1)
		self.done.unreadable += len(unreadable)
		if "received" in verdicts:
			hand_over(self.home, self.config.name)


def dead_letter(message: bytes, reason: str) -> str:
	"""Return what is kept of an unreadable message: all of it, and why."""
	return json.dumps(
		{
			"reason": reason,
			"message": message.decode("utf-8", "backslashreplace"),
			"sha256": hashlib.sha256(message).hexdigest(),
			"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
		}
	)


def consumer_for(home: Home, integration: str, name: str = "consumer", fallback_url: str = "") -> Consumer:
	"""Return the consumer of an integration; raises HubError where its queue is off or has no URL."""
	config = home.integration(integration)
	place = {"doctype": "Integration Settings", "name": integration}
	if not config.enabled:
		raise HubError("is disabled", field="enabled", **place)
	if not config.queue_enabled:
		raise HubError("does not consume a queue", field="queue_enabled", **place)
	url = home.secrets(integration).get("queue_url")
	try:
		if url:
			_vet(url, home.allowed_hosts())
		elif not fallback_url:
			raise HubError("is empty", field="queue_url", **place)
		else:
			url = fallback_url  # the site's owner wrote it into the site's own configuration
		client = redis.from_url(url, socket_connect_timeout=5, socket_timeout=30)
	except (ValueError, OSError) as error:
		raise HubError(str(error), field="queue_url", **place) from None
	return Consumer(home, config, client, name)


def _vet(url: str, allowed: list[str]) -> None:
	"""Raise OSError or ValueError unless a person who is not the site's owner may point the consumer there."""
	parts = urlsplit(url)
	if parts.scheme not in ("redis", "rediss") or not parts.hostname:
		raise ValueError("must be redis://HOST:PORT/DATABASE or rediss://…")
	vetted(parts.hostname, parts.port or 6379, frozenset(host.lower() for host in allowed))
