"""Messages of an external Redis queue, into the same inbox as webhooks: what lists and streams share.

A message is acknowledged once its row is committed. Killed in between, it is found again and known: it has an
id of its own, or is given one that stays with it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import redis

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.paths import PathTooCostly
from integration_hub.queues.letters import Letter, tell
from integration_hub.queues.pieces import store_in_pieces
from integration_hub.stores.home import Home
from integration_hub.stores.inbox import Event
from integration_hub.webhooks.bodies import MalformedEvent, read_body
from integration_hub.webhooks.events import Route, load_routes, read_event
from integration_hub.webhooks.messages import DEFAULT_MB, MEGABYTE
from integration_hub.webhooks.receive import hand_over

BATCH = 100
BATCH_BYTES = 8 * 1024 * 1024  # of a batch, about: large messages are read fewer at a time
SILENT_SECONDS = 120  # a consumer that says nothing for longer is taken for gone


@dataclass
class Consumed:
	received: int = 0
	duplicate: int = 0
	conflict: int = 0
	unreadable: int = 0
	more: bool = False  # the time was over before the queue was empty

	@property
	def total(self) -> int:
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

	def __init__(self, home: Home, config: IntegrationConfig, client: redis.Redis, name: str = "consumer"):
		self.home, self.config, self.redis = home, config, client
		self.queue = config.queue_name
		self.name = name
		self.dead = f"{self.queue}:dead"
		self.done = Consumed()

	def recover(self, until: float = math.inf) -> bool:
		"""Take up what consumers that are gone had read and not committed; tell whether that is all of it.

		That is an earlier one of this name, and those of other names that have been silent for a while.

		until: when (of time.monotonic) no other batch is begun; one is taken in any case.
		"""
		raise NotImplementedError

	def read(self, block: float) -> list[Message]:
		"""Read a batch; wait up to `block` seconds for its first message."""
		raise NotImplementedError

	def acknowledge(self, pipe: redis.client.Pipeline, messages: Sequence[Message]) -> None:
		"""Have messages, whose rows are committed, leave the queue with the commands of `pipe`."""
		raise NotImplementedError

	def leave(self) -> None:
		"""Said at the end of a drain: this consumer is gone, unless it has something in hand still."""

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
		until = time.monotonic() + seconds
		self.done.more = not self.recover(until)
		while not self.done.more and self.run_once():
			self.done.more = time.monotonic() >= until
		self.leave()
		return self.done

	def store(self, messages: Sequence[Message]) -> None:
		"""Commit a batch, then acknowledge it. What cannot be an event, or be stored, becomes a dead letter."""
		routes = load_routes(self.home, self.config.name)
		readable, events, letters = [], [], []
		for message in messages:
			try:
				event = self._event(message, routes)
			except MalformedEvent as error:
				letters.append(Letter(message.body, str(error)))
				continue
			readable.append(message)
			events.append(event)
		stored = store_in_pieces(self.home, events)
		letters += [Letter(readable[n].body, reason) for n, reason in stored.refused.items()]
		tell(self.home, self.config.name, self.dead, letters)
		with self.redis.pipeline(transaction=True) as pipe:
			for letter in letters:
				pipe.lpush(self.dead, letter.text())
			self.acknowledge(pipe, messages)
			pipe.execute()
		for verdict in stored.verdicts:
			setattr(self.done, verdict, getattr(self.done, verdict) + 1)
		self.done.unreadable += len(letters)
		kept = [event for number, event in enumerate(events) if number not in stored.refused]
		new = [e for e, verdict in zip(kept, stored.verdicts, strict=True) if verdict == "received"]
		if keys := {event.ordering_key for event in new if not event.unrouted}:
			hand_over(self.home, self.config.name, keys)

	def _event(self, message: Message, routes: Sequence[Route]) -> Event:
		"""Return the event a message is; raises MalformedEvent."""
		if message.problem:
			raise MalformedEvent(message.problem)
		most = int((self.config.max_body_mb or DEFAULT_MB) * MEGABYTE)
		if len(message.body) > most:
			raise MalformedEvent("body_too_large")
		body, payload = read_body(message.body, {}, most)
		try:
			return read_event(self.config, body, payload, routes, "Queue", default_id=message.default_id)
		except PathTooCostly as error:
			raise MalformedEvent(f"path_too_costly: {error}") from None
