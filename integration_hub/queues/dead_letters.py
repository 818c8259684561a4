"""Dead letters: messages that cannot become events are kept whole, and somebody is told."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from integration_hub.connectors.redact import Redactor
from integration_hub.stores.database import in_transaction
from integration_hub.stores.error_log import record_error
from integration_hub.stores.runtime import Runtime

NOT_STORED = "not_stored"  # what begins the reason of a message that the database refused
OPERATION = "Dead Letter"  # in the error log; no success resolves it: a person looks at the list


@dataclass(frozen=True)
class DeadLetter:
	"""A message that cannot become an event, and the word that says why."""

	message: bytes
	reason: str

	@property
	def public_reason(self) -> str:
		"""Return what others may read of the reason: a database's words quote the statement, and so the body."""
		return ":".join(self.reason.split(":")[:2]) if self.reason.startswith(NOT_STORED) else self.reason

	def text(self) -> str:
		"""Return what is kept of it in the list: all of it, and why."""
		return json.dumps(
			{
				"reason": self.reason,
				"message": self.message.decode("utf-8", "backslashreplace"),
				"sha256": hashlib.sha256(self.message).hexdigest(),
				"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
			}
		)


class DeadLettered(Exception):
	"""Messages went to the dead letters. `kind` is the reason's word."""

	def __init__(self, reason: str, place: str) -> None:
		super().__init__(
			f"Messages of the queue cannot be read as events: {reason}. They are kept, whole, in the list {place}."
		)
		self.kind = reason[:60]
		self.distinct = reason


def log_dead_letters(
	runtime: Runtime, integration: str, place: str, dead_letters: Iterable[DeadLetter]
) -> None:
	"""Log dead letters, a row a reason: nobody looks into a list of Redis unasked.

	Before they are acknowledged: one that is reported twice is better than one that is not.
	"""
	for reason, count in Counter(dead_letter.public_reason for dead_letter in dead_letters).items():
		error = DeadLettered(reason, place)
		in_transaction(
			runtime.db,
			lambda error=error, count=count: record_error(
				runtime, error, operation=OPERATION, integration=integration, redactor=Redactor(), times=count
			),
		)
