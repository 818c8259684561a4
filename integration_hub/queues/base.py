"""Messages of an external Redis queue, into the same inbox as webhooks: what lists and streams share.

A message is acknowledged once its row is committed. Killed in between, it is found again and known: it has an
id of its own, or is given one that stays with it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import redis

from integration_hub.connectors.bounded_jmespath import PathTooCostly
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.known_secrets import KnownSecrets
from integration_hub.connectors.secrets import redactor_for
from integration_hub.lazy_messages import _
from integration_hub.queues.chunked_store import store_in_chunks
from integration_hub.queues.dead_letters import DeadLetter, log_dead_letters
from integration_hub.queues.redis_servers import NEEDED, explained, facts_of, moved_to, tagged
from integration_hub.stores.inbox import Event
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.webhooks.bodies import MalformedEvent, Reading, read_body
from integration_hub.webhooks.body_events import read_events
from integration_hub.webhooks.events import EventReader, EventRules, load_routes
from integration_hub.webhooks.messages import DEFAULT_MB, MEGABYTE
from integration_hub.webhooks.receive import hand_over

BATCH = 100
BATCH_BYTES = 8 * 1024 * 1024  # about what a batch may have: large messages are read fewer at a time
Follow = Callable[[str, int], redis.Redis]  # a client for another node of the same cluster
_ALLOW_FULL = "#!lua flags=allow-oom\n"  # of scripts, from Redis 7 on: they make more room than they take
SILENT_SECONDS = 120  # a consumer that says nothing for longer is taken for gone


@dataclass
class Consumed:
	"""Counts of the messages that one drain of a queue has settled, by outcome."""

	received: int = 0
	duplicate: int = 0
	conflict: int = 0
	unreadable: int = 0
	more: bool = False  # the time was over before the queue was empty

	@property
	def total(self) -> int:
		"""Return how many messages were settled."""
		return self.received + self.duplicate + self.conflict + self.unreadable


@dataclass(frozen=True)
class Message:
	"""One message: what it is acknowledged by, its own id where it names none, and what it says."""

	token: bytes
	default_id: str
	body: bytes
	problem: str = ""


class Consumer:
	"""Reads one queue for one integration.

	name: the same name after a restart takes up what was left. Two consumers that run at the same time have
	different names.
	"""

	kind: ClassVar[str]

	def __init__(
		self,
		runtime: Runtime,
		config: IntegrationConfig,
		client: redis.Redis,
		name: str = "consumer",
		follow: Follow | None = None,
	) -> None:
		self.runtime, self.config, self.redis = runtime, config, client
		self.queue, self.prefix = config.queue_name, tagged(config.queue_name)
		self.name = name
		self.dead = f"{self.prefix}:dead"
		self.former = self.prefix != self.queue  # there may be keys of a version that used no tags
		self.done = Consumed()
		self._follow = follow
		self._version: tuple[int, int] | None = None
		self._scripts: dict[str, Callable] = {}

	def recover(self, until: float = math.inf) -> bool:
		"""Take up what consumers that are gone had read and not committed; tell whether that is all of it.

		That is an earlier one of this name, and those of other names that have been silent for a while. Raises HubError
		where the server cannot do what is needed.

		until: when (of time.monotonic) no other batch is begun; one is taken in any case.
		"""
		if self._version is None:
			self._meet()
		return self.take_up(until)

	def take_up(self, until: float = math.inf) -> bool:
		"""Do what `recover` says, on a server that was looked at."""
		raise NotImplementedError

	def bury(self, message: Message, dead_letter: DeadLetter) -> None:
		"""Move a message from what is being handled to the dead letters, both in one."""
		raise NotImplementedError

	def script(self, text: str) -> Callable:
		"""Return a script of the server's, to be called with `keys` and `args`."""
		if text not in self._scripts:
			flags = _ALLOW_FULL if self._version and self._version >= (7, 0) else ""
			self._scripts[text] = self.redis.register_script(flags + text.lstrip())
		return self._scripts[text]

	def _meet(self) -> None:
		"""Find the node of a cluster that has the queue, and look at the server's version."""
		place = {"doctype": "Integration Settings", "name": self.config.name, "field": "queue_url"}
		try:
			self.redis.exists(self.queue)
		except redis.ResponseError as error:
			elsewhere = moved_to(error)
			if not elsewhere or not self._follow:
				raise
			self.redis.connection_pool.disconnect()
			self.redis = self._follow(*elsewhere)
		version, is_node = facts_of(self.redis)
		if (0, 0) < version < NEEDED:
			said, needed = (".".join(map(str, each)) for each in (version, NEEDED))
			raise HubError(_("is Redis {0}; a queue needs {1} or later", said, needed), **place)
		self._version, self.former = version, self.former and not is_node
		self._scripts.clear()

	def read(self, block: float) -> list[Message]:
		"""Read a batch; wait up to `block` seconds for its first message."""
		raise NotImplementedError

	def acknowledge(self, pipe: redis.client.Pipeline, messages: Sequence[Message]) -> None:
		"""Have messages, whose rows are committed, leave the queue with the commands of `pipe`."""
		raise NotImplementedError

	def waiting(self) -> int | None:
		"""Return how many messages nobody has read yet, None where the server does not say."""
		raise NotImplementedError

	def leave(self) -> None:
		"""Leave the queue at the end of a drain: this consumer is gone, unless it is handling something still."""

	def run_once(self, block: float = 0.0) -> int:
		"""Store one batch; wait up to `block` seconds for its first message. Return how many were read."""
		batch = self.read(block)
		if batch:
			self.store(batch)
		return len(batch)

	def drain(self, seconds: float = math.inf) -> Consumed:
		"""Store what waits now, for about `seconds`, a batch at least; return what became of it.

		What was read before and not stored is older, and goes before what waits in the queue.
		"""
		try:
			return self._drain(time.monotonic() + seconds)
		except redis.RedisError as error:
			if (clearer := explained(error, self.config.name)) is error:
				raise
			raise clearer from None

	def _drain(self, until: float) -> Consumed:
		self.done.more = not self.recover(until)
		while not self.done.more and self.run_once():
			self.done.more = time.monotonic() >= until
		self.leave()
		return self.done

	def store(self, messages: Sequence[Message]) -> None:
		"""Commit a batch, then acknowledge it. What cannot be an event, or be stored, becomes a dead letter."""
		rules = EventRules(self.config, load_routes(self.runtime, self.config.name), known=self._known)
		events, owners, buried = [], [], {}
		for number, message in enumerate(messages):
			try:
				found = self._events(message, rules)
			except MalformedEvent as error:
				buried[number] = DeadLetter(message.body, str(error))
				continue
			events += found
			owners += [number] * len(found)
		stored = store_in_chunks(self.runtime, events)
		for place, reason in stored.refused.items():
			buried[owners[place]] = DeadLetter(messages[owners[place]].body, reason)
		log_dead_letters(self.runtime, self.config.name, self.dead, buried.values())
		for number, dead_letter in buried.items():
			self.bury(messages[number], dead_letter)
		# Not in MULTI, where a server that is full takes no command: what is not acknowledged is known again.
		with self.redis.pipeline(transaction=False) as pipe:
			if rest := [message for number, message in enumerate(messages) if number not in buried]:
				self.acknowledge(pipe, rest)
			pipe.execute()
		for verdict in stored.verdicts:
			setattr(self.done, verdict, getattr(self.done, verdict) + 1)
		self.done.unreadable += len(buried)
		kept = [event for number, event in enumerate(events) if number not in stored.refused]
		new = [e for e, verdict in zip(kept, stored.verdicts, strict=True) if verdict == "received"]
		if keys := {event.ordering_key for event in new if not event.unrouted}:
			hand_over(self.runtime, self.config.name, keys)

	def _events(self, message: Message, rules: EventRules) -> list[Event]:
		"""Return the events that a message holds; raises MalformedEvent."""
		if message.problem:
			raise MalformedEvent(message.problem)
		most = int((self.config.max_body_mb or DEFAULT_MB) * MEGABYTE)
		if len(message.body) > most:
			raise MalformedEvent("body_too_large")
		body, payload = read_body(message.body, {}, most, self._reading)
		try:
			return read_events(EventReader(rules, "Queue", {}), body, payload, message.default_id)
		except PathTooCostly as error:
			raise MalformedEvent(f"path_too_costly: {error}") from None
		except HubError as error:
			raise MalformedEvent(f"secret_in_event: {error}") from None

	@cached_property
	def _reading(self) -> Reading:
		return Reading.of(self.config)

	@cached_property
	def _known(self) -> KnownSecrets:
		return KnownSecrets(redactor_for(self.runtime.secrets(self.config.name)))
