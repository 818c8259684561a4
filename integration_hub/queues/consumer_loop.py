"""A consumer process: it lasts, sees changed settings, and shows its trouble where people look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from integration_hub.connectors.app_code import attempt
from integration_hub.connectors.secrets import redactor_of_readable
from integration_hub.queues.base import SILENT_SECONDS, Consumed, Consumer
from integration_hub.queues.consumer import SwitchedOff, consumer_for
from integration_hub.queues.redis_servers import explained
from integration_hub.queues.state import QueueState
from integration_hub.stores.database import in_transaction
from integration_hub.stores.runtime import Runtime
from integration_hub.terminal_text import logger_of

logger = logger_of("integration_hub.queues")

_BLOCK_SECONDS = 1.0
_LOOK_SECONDS = 1.0
_LONGEST_BACKOFF = 30.0
_PATIENCE = 3  # failures in a row before people are told


class ConsumerLoop:
	"""Consumes an integration's queue until it is stopped or the queue is switched off."""

	def __init__(
		self, runtime: Runtime, integration: str, name: str = "consumer", fallback_url: str = ""
	) -> None:
		self.runtime, self.integration = runtime, integration
		self._name, self._fallback_url = name, fallback_url
		self._consumer: Consumer | None = None
		self._settings: object = None
		self._done = Consumed()
		self._failures = 0
		self._look_at = self._recover_at = 0.0
		self._told = False  # is the present trouble logged?
		self._state = QueueState(runtime, integration)

	def run(self, stop: threading.Event, on_batch: Callable[[Consumed], None] | None = None) -> Consumed:
		"""Consume until `stop` is set; a batch in progress is finished. Reconnects with backoff.

		Raises SwitchedOff when a person has switched the queue off. on_batch: called with all there was so far.
		"""
		while not stop.is_set():
			try:
				self._follow_settings()
				count = self._step()
				self._goes_well(bool(count))
			except SwitchedOff:
				raise
			except Exception as error:  # noqa: BLE001 - the boundary of a consumer: Redis or the database is away
				stop.wait(self._failed(error))
				continue
			if count and on_batch:
				on_batch(self._done)
		return self._done

	def _step(self) -> int:
		consumer = self._consumer
		if time.monotonic() >= self._recover_at:
			before = self._done.total
			if not consumer.recover(time.monotonic() + _LOOK_SECONDS):
				return self._done.total - before  # the rest after a look at the settings, and at `stop`
			self._recover_at = time.monotonic() + SILENT_SECONDS
		return consumer.run_once(block=_BLOCK_SECONDS)

	def _follow_settings(self) -> None:
		"""Make the consumer, and another one when the settings have changed."""
		if self._consumer and time.monotonic() < self._look_at:
			return
		# In a transaction: what was read before may be an older snapshot.
		settings = in_transaction(self.runtime.db, self._read_settings)
		if not self._consumer or settings != self._settings:
			self._close()
			self._consumer = consumer_for(self.runtime, self.integration, self._name, self._fallback_url)
			self._consumer.done = self._done  # one count for the process
			self._settings, self._recover_at = settings, 0.0
		self._look_at = time.monotonic() + _LOOK_SECONDS

	def _read_settings(self) -> object:
		"""Return what changes with the settings."""
		if stamp := self.runtime.settings_stamp(self.integration):
			return stamp
		config = self.runtime.integration(self.integration)
		return config, self.runtime.secrets(self.integration).get("queue_url")

	def _close(self) -> None:
		if self._consumer:
			self._consumer.redis.connection_pool.disconnect()
		self._consumer = None

	def _failed(self, error: Exception) -> float:
		"""Take note of a failure; return how long to wait before the next attempt."""
		self._failures += 1
		self._recover_at = self._look_at = 0.0
		self._close()  # the name may lead to another server by now: a replica that was promoted, another node
		error = explained(error, self.integration)
		pause = min(2.0**self._failures / 2, _LONGEST_BACKOFF)
		self.runtime.reconnect()
		# Its kind only: what it says may hold secrets, and goes masked to the error log.
		kind = type(error).__name__
		logger.warning("Queue of %s fails (%s); again in %.0f s", self.integration, kind, pause)
		if self._failures >= _PATIENCE and not self._told:
			self._told = self._tell(error)
		return pause

	def _tell(self, error: Exception) -> bool:
		"""Log the failure once; False where the database is away too, and the next failure has to be reported."""
		with attempt() as noting:  # the next failure tries again
			self._state.fails(error, redactor_of_readable(self.runtime.secrets(self.integration)))
		return not noting.error

	def _goes_well(self, took: bool) -> None:
		self._state.goes_well(self._consumer, took)
		self._failures, self._told = 0, False
