"""Handling a batch of claimed events: several in one transaction, each undone alone if it fails."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from integration_hub.connectors.redact import Redactor
from integration_hub.stores import claims
from integration_hub.stores.database import Row, in_transaction
from integration_hub.stores.errors import record_error
from integration_hub.stores.home import Home
from integration_hub.webhooks.defer import MAX_DEFERRALS, Defer
from integration_hub.webhooks.events import load_routes, route_for
from integration_hub.webhooks.handle import Handling

MAX_ATTEMPTS = 8
_FIRST_RETRY = 30.0
_LAST_RETRY = 8 * 3600.0
# A commit waits for the disk, so trivial events share one; slow ones hold their locks no longer than this.
_TOGETHER_SECONDS = 0.2


class ClaimLost(Exception):
	"""The sweep gave the event to another drain; this one must not commit."""


@dataclass
class Drained:
	completed: int = 0
	failed: int = 0
	deferred: int = 0
	unrouted: int = 0

	@property
	def total(self) -> int:
		return self.completed + self.failed + self.deferred + self.unrouted


class Batch:
	"""Handles the rows of one claim.

	An event's writes and its end are one savepoint; the transaction around it holds more of those. So each of
	them is there whole or not at all, with its end, wherever the process dies.
	"""

	def __init__(self, home: Home, integration: str, redactor: Redactor, done: Drained):
		self.home, self.redactor, self.done = home, redactor, done
		self.routes = load_routes(home, integration)
		self.handling = Handling(home, redactor)

	def handle(self, rows: list[Row], deadline: float) -> None:
		"""Handle rows until `deadline` (of time.monotonic), and give the rest back."""
		while rows:
			if time.monotonic() >= deadline:
				claims.give_back(self.home, rows)
				return
			rows = self._together(rows)

	def _together(self, rows: list[Row]) -> list[Row]:
		"""Handle the first rows in one transaction; return those that are left."""
		ends: list[tuple[Row, str]] = []
		row, failure, until = rows[0], None, time.monotonic() + _TOGETHER_SECONDS
		try:
			with self.home.db.transaction():
				for row in rows:
					try:
						with self.home.db.savepoint():
							ends.append((row, self._handle(row)))
					except Exception as error:
						if self.home.db.is_transient(error):
							raise
						failure = error
						break
					if time.monotonic() >= until:
						break
		except Exception:  # noqa: BLE001 - undone all together: now each by itself
			tried = rows.index(row) + 1
			held_back = {key for done in rows[:tried] if (key := self._alone(done))}
			return self._without(rows[tried:], held_back)
		self._count(ends)
		held_back = {self._failed(row, failure)} if failure else set()
		return self._without(rows[len(ends) + bool(failure) :], held_back)

	def _handle(self, row: Row) -> str:
		"""Handle a row and write its end, within a savepoint or transaction; return its state."""
		route = route_for(self.routes, row["event_type"] or "")
		end = {"status": "Unrouted", "error": None}
		if route is not None:
			reference = self.handling.handle(row, route)
			end = {"status": "Completed", "error": None, "completed_at": self.home.now(), **reference}
		if not claims.settle(self.home, row, **end):
			raise ClaimLost(row["name"])
		return str(end["status"])

	def _count(self, ends: list[tuple[Row, str]]) -> None:
		"""Count what is committed; a handler that rolled back by itself has undone those before it."""
		lost = {row["name"] for row in claims.still_claimed(self.home, [row for row, _ in ends])}
		for row, status in ends:
			if row["name"] in lost:
				self._alone(row)
			elif status == "Completed":
				self.done.completed += 1
			else:
				self.done.unrouted += 1

	def _alone(self, row: Row) -> str:
		"""Handle a row in a transaction of its own; return the ordering key it holds back, if it does."""
		try:
			status = in_transaction(self.home.db, lambda: self._handle(row))
		except Exception as error:  # noqa: BLE001 - any app's handler may fail, with any error
			return self._failed(row, error)
		self.done.completed += status == "Completed"
		self.done.unrouted += status == "Unrouted"
		return ""

	def _failed(self, row: Row, error: Exception) -> str:
		"""Write how an attempt failed; return the ordering key that is held back by it, "" if none is."""
		if isinstance(error, ClaimLost):
			return row["ordering_key"] or ""
		if isinstance(error, Defer) and row["deferrals"] < MAX_DEFERRALS:
			self._put_off(row, error)
			self.done.deferred += 1
			return ""
		in_transaction(self.home.db, lambda: self._fail(row, error))
		self.done.failed += 1
		return row["ordering_key"] or ""

	def _put_off(self, row: Row, error: Defer) -> None:
		values = {
			"status": "Queued",
			"attempts": row["attempts"] - 1,
			"deferrals": row["deferrals"] + 1,
			"next_attempt_at": self.home.now(ahead=error.seconds),
			"error": str(error),
		}
		in_transaction(self.home.db, lambda: claims.settle(self.home, row, **values))

	def _fail(self, row: Row, error: Exception) -> None:
		"""Count a failed attempt: it is tried again later, or dead after the last."""
		attempts = row["attempts"]
		dead = attempts >= MAX_ATTEMPTS
		name = record_error(
			self.home,
			error,
			operation="Webhook",
			integration=row["integration"],
			redactor=self.redactor,
			webhook_log=row["name"],
		)
		claims.settle(
			self.home,
			row,
			status="Dead" if dead else "Failed",
			next_attempt_at=None if dead else self.home.now(ahead=retry_delay(attempts)),
			error=self.redactor.text(error, 500),
			error_log=name,
		)

	def _without(self, rows: list[Row], held_back: set[str]) -> list[Row]:
		"""Give back rows whose key is held back; return the others."""
		behind = [row for row in rows if row["ordering_key"] and row["ordering_key"] in held_back]
		claims.give_back(self.home, behind)
		return [row for row in rows if row not in behind] if behind else rows


def retry_delay(attempts: int) -> float:
	"""Return the pause in seconds after the given number of failures: eight tries take about a day."""
	longest = min(_FIRST_RETRY * 4 ** (attempts - 1), _LAST_RETRY)
	return longest * random.uniform(0.8, 1.0)
