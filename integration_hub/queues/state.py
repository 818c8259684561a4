"""The state of a queue's reading, kept on the Integration Settings: what nobody reads shows no failed event."""

from __future__ import annotations

import time
from contextlib import suppress

import redis

from integration_hub.queues.base import Consumer
from integration_hub.stores.database import in_transaction, update
from integration_hub.stores.error_log import Redacts, record_error
from integration_hub.stores.failure_closing import close_operation
from integration_hub.stores.runtime import Runtime

OPERATION = "Queue"  # in the error log
UNKNOWN = -1  # messages that wait where the server does not say how many
_NOTE_SECONDS = 15.0
_DOCTYPE = "Integration Settings"


class QueueState:
	"""Notes how an integration's queue is read: at once what changes, the rest every quarter of a minute."""

	def __init__(self, runtime: Runtime, integration: str) -> None:
		self._runtime, self._integration = runtime, integration
		self._next, self._took, self._well = 0.0, False, False

	def goes_well(self, consumer: Consumer, took: bool) -> None:
		"""Note that the queue was read; took: was there a message?"""
		self._took = self._took or took
		if self._well and time.monotonic() < self._next:
			return
		now = self._runtime.now()
		values = {"queue_read_at": now, "queue_error": None, "queue_depth": depth(consumer)}
		if self._took:
			values["queue_message_at"] = now

		def note() -> None:
			update(self._runtime.db, _DOCTYPE, self._integration, values)
			if not self._well:
				close_operation(self._runtime, self._integration, OPERATION)

		in_transaction(self._runtime.db, note)
		self._next, self._took, self._well = time.monotonic() + _NOTE_SECONDS, False, True

	def fails(self, error: Exception, redactor: Redacts, times: int = 1) -> None:
		"""Log why the queue cannot be read, and note it; times: how often it was tried."""
		self._well = False

		def note() -> None:
			text = redactor.text(error, 500) or type(error).__name__
			update(self._runtime.db, _DOCTYPE, self._integration, {"queue_error": text})
			record_error(
				self._runtime,
				error,
				operation=OPERATION,
				integration=self._integration,
				redactor=redactor,
				times=times,
			)

		in_transaction(self._runtime.db, note)


def depth(consumer: Consumer) -> int:
	"""Return how many messages wait in a queue, UNKNOWN where the server does not say."""
	with suppress(redis.RedisError):
		count = consumer.waiting()
		return UNKNOWN if count is None else count
	return UNKNOWN
