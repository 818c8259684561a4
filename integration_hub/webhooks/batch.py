"""Handling a batch of claimed events: several in one transaction, each undone alone if it fails."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from integration_hub.connectors.app_code import attempt
from integration_hub.connectors.errors import RetryLater
from integration_hub.connectors.json_text import read_json
from integration_hub.connectors.redact import Redactor
from integration_hub.stores import claims
from integration_hub.stores.attempts import Attempt
from integration_hub.stores.database import Outdated, Row, in_transaction
from integration_hub.stores.error_log import record_error
from integration_hub.stores.failure_closing import EVENT
from integration_hub.stores.ordering import AT_TIME, MY_TURN, let_on
from integration_hub.stores.runtime import Runtime
from integration_hub.webhooks.defer import MAX_DEFERRALS, Defer
from integration_hub.webhooks.event_retries import EventRetries
from integration_hub.webhooks.events import Route, load_routes, routes_for
from integration_hub.webhooks.handle import Handling
from integration_hub.webhooks.source_confirmation import Held

# A commit waits for the disk, so trivial events share one; slow ones hold their locks no longer than this.
_TOGETHER_SECONDS = 0.2
_SAID = 200  # characters of an error that each attempt keeps; the last one's stands in its row whole


class ClaimLost(Exception):
	"""The sweep gave the event to another drain; this one must not commit."""


@dataclass
class Drained:
	"""Counts of the events that one drain has settled, by outcome."""

	completed: int = 0
	failed: int = 0
	deferred: int = 0
	unrouted: int = 0
	held: int = 0

	@property
	def total(self) -> int:
		"""Return how many events were settled."""
		return self.completed + self.failed + self.deferred + self.unrouted + self.held


@dataclass(frozen=True)
class End:
	"""The outcome of a handled event: its state, the document it made, and why it is held."""

	status: str
	reference: tuple[tuple[str, str], ...] = ()
	held: str = ""


class Batch:
	"""Handles the rows of one claim.

	An event's writes are a savepoint in a transaction that holds those of several, and their ends: each is there
	whole, with its end, or not at all, wherever the process dies. The ends are written when the transaction is
	to be committed, even by a handler that should not.
	"""

	def __init__(
		self,
		runtime: Runtime,
		integration: str,
		redactor: Redactor,
		done: Drained,
		user: str = "",
		retries: EventRetries = EventRetries(),  # noqa: B008 - frozen
	) -> None:
		self.retries = retries
		self.runtime, self.redactor, self.done, self.user = runtime, redactor, done, user
		self.routes = load_routes(runtime, integration)
		self.handling = Handling(runtime, redactor)
		self._pending: list[tuple[Row, End]] = []  # handled, their ends not written
		self._undone: list[Row] = []  # handled, and rolled back by somebody else's code
		self._watching = False
		self._at = ""  # when the events of the current transaction are begun, near enough
		self.over: set[str] = set()  # failures of earlier attempts of events that are done now

	def handle(self, rows: list[Row], deadline: float) -> None:
		"""Handle rows until `deadline` (of time.monotonic), and give the rest back."""
		while rows:
			if time.monotonic() >= deadline:
				claims.give_back(self.runtime, rows)
				return
			rows = self._together(rows)

	def _together(self, rows: list[Row]) -> list[Row]:
		"""Handle the first rows in one transaction; return those that are left."""
		self._at = self.runtime.now()
		if self._is_to_confirm(rows[0]):
			return self._without(rows[1:], {self._confirmed(rows[0])})
		tried, failure = 0, None
		before, until = replace(self.done), time.monotonic() + _TOGETHER_SECONDS
		with attempt() as together, self.runtime.db.transaction():
			for row in rows:
				if self._is_to_confirm(row):
					break
				tried += 1
				failure = self._try(row)
				if failure or time.monotonic() >= until:
					break
			self._write_ends()
		again = self._undone
		if together.error:  # undone all together: now each by itself
			vars(self.done).update(vars(before))
			again, failure = rows[:tried], None
		self._pending, self._undone, self._watching = [], [], False
		held_back = {self._alone(row) for row in again}
		if failure:
			held_back.add(self._failed(rows[tried - 1], failure))
		return self._without(rows[tried:], held_back)

	def _routes(self, row: Row) -> tuple[Route, ...]:
		"""Return an event's routes, looked for once; raises what their conditions failed with."""
		if "found_routes" not in row:
			with attempt() as looked:
				row["found_routes"] = routes_for(self.routes, row["event_type"] or "", lambda: _facts(row))
			if looked.error:
				row["found_routes"] = looked.error
		if isinstance(row["found_routes"], Exception):
			raise row["found_routes"]
		return row["found_routes"]

	def _is_to_confirm(self, row: Row) -> bool:
		return bool(self._to_confirm(row))

	def _to_confirm(self, row: Row) -> list[Route]:
		"""Return the routes of an event for which the source is asked first."""
		with attempt() as looked:
			found = self._routes(row)
		return [] if looked.error else [route for route in found if self.handling.is_to_confirm(row, route)]

	def _confirmed(self, row: Row) -> str:
		"""Ask the source about an event, then handle it; return the ordering key it holds back, if it does.

		No transaction waits for the answer.
		"""
		with attempt() as asked, self.runtime.as_user(self.user):
			row["answers"] = {route: self.handling.ask(row, route) for route in self._to_confirm(row)}
		if isinstance(asked.error, RetryLater):
			return self._failed(row, Defer(asked.error.seconds, self.redactor.text(asked.error, _SAID)))
		if asked.error and not isinstance(asked.error, Held):  # which is raised again where it is handled
			return self._failed(row, asked.error)
		return self._alone(row)

	def _try(self, row: Row) -> Exception | None:
		"""Handle a row within the current transaction; return what it failed with, undone alone.

		Raises what has undone the whole transaction.
		"""
		if not self._watching:
			self.runtime.db.watch(self._write_ends, self._forget)
			self._watching = True
		with attempt(self._undoes_all) as handled, self.runtime.db.savepoint():
			end = self._handle(row)
		if handled.error:
			return handled.error
		self._pending.append((row, end))
		return None

	def _undoes_all(self, error: Exception) -> bool:
		return isinstance(error, Outdated) or self.runtime.db.is_transient(error)

	def _handle(self, row: Row) -> End:
		row["began"] = time.perf_counter()
		routes = row["route"] = self._routes(row)
		if not routes:
			return End("Unrouted")
		try:
			return End("Completed", tuple(self._act(row, routes).items()))
		except Held as held:
			return End("Conflict", held=str(held))
		finally:
			row["took"] = time.perf_counter() - row["began"]

	def _act(self, row: Row, routes: Sequence[Route]) -> dict[str, str]:
		"""Do what the routes of an event say, all of it or none; return the first document that was made."""
		reference: dict[str, str] = {}
		# Held ends an event without an error, so what the routes before have done has to be undone here.
		with self.runtime.db.savepoint() if len(routes) > 1 else nullcontext():
			for route in routes:
				told = {**row, "asked": row.get("answers", {}).get(route)}
				with self.runtime.as_user(self.user):  # for each: a handler may have set another
					reference = {**self.handling.handle(told, route), **reference}
		return reference

	def _attempt(self, rows: Sequence[Row], outcome: str, **what: str) -> Attempt:
		"""Return what is kept of an attempt: of events that end alike in one go, how long they took on average."""
		took = [row["took"] for row in rows if "took" in row]
		seconds = sum(took) / len(took) if took else None
		routes = {" + ".join(route.title for route in row.get("route") or ()) for row in rows}
		route = routes.pop() if len(routes) == 1 else ""
		return Attempt(self._at or self.runtime.now(), seconds, outcome, route, **what)

	def _write_ends(self) -> None:
		"""Write the ends of what was handled, in its transaction; raises ClaimLost."""
		self._watching = False
		alike: dict[tuple[End, tuple[Route, ...]], list[Row]] = {}
		for row, end in self._pending:
			alike.setdefault((end, row["route"]), []).append(row)
		for (end, _), rows in alike.items():
			self._end(rows, end)
		let_on(self.runtime, [row for row, _ in self._pending])
		self._pending = []

	def _end(self, rows: list[Row], end: End) -> None:
		completed = end.status == "Completed"
		values = {"status": end.status, "error": end.held or None, **dict(end.reference)}
		if completed:
			values["completed_at"] = self.runtime.now()
		made = {"doctype": values.get("reference_doctype", ""), "document": values.get("reference_name", "")}
		attempt = self._attempt(rows, end.status, error=end.held, **made)
		if not claims.settle(self.runtime, rows, attempt, **values):
			raise ClaimLost(rows[0]["name"])
		self.over |= {row["error_log"] for row in rows if row.get("error_log")}
		self.done.completed += completed * len(rows)
		self.done.held += bool(end.held) * len(rows)
		self.done.unrouted += (end.status == "Unrouted") * len(rows)

	def _forget(self) -> None:
		"""Forget what was handled in a transaction that was rolled back."""
		self._watching = False
		self._undone += [row for row, _ in self._pending]
		self._pending = []

	def _alone(self, row: Row) -> str:
		"""Handle a row in a transaction of its own; return the ordering key it holds back, if it does."""
		with attempt() as handled:
			in_transaction(self.runtime.db, lambda: self._handle_and_end(row))
		return self._failed(row, handled.error) if handled.error else ""

	def _handle_and_end(self, row: Row) -> None:
		self._end([row], self._handle(row))
		let_on(self.runtime, [row])

	def _failed(self, row: Row, error: Exception) -> str:
		"""Write how an attempt failed; return the ordering key that is held back by it, "" if none is."""
		if isinstance(error, ClaimLost):
			return row["ordering_key"] or ""
		if isinstance(error, Defer) and row["deferrals"] < MAX_DEFERRALS:
			self._put_off(row, error)
			self.done.deferred += 1
			return ""
		in_transaction(self.runtime.db, lambda: self._fail(row, error))
		self.done.failed += 1
		return row["ordering_key"] or ""

	def _put_off(self, row: Row, error: Defer) -> None:
		values = {
			"status": "Failed" if row["attempts"] > 1 else "Queued",
			"attempts": row["attempts"] - 1,
			"deferrals": row["deferrals"] + 1,
			"next_attempt_at": self.runtime.now(ahead=error.seconds),
			"turn": AT_TIME,
			"error": str(error),
		}

		attempt = self._attempt([row], "Deferred", error=str(error)[:_SAID])

		def put_off() -> None:
			if claims.settle(self.runtime, [row], attempt, **values):
				let_on(self.runtime, [row])

		in_transaction(self.runtime.db, put_off)

	def _fail(self, row: Row, error: Exception) -> None:
		"""Count a failed attempt: it is tried again later, or dead after the last."""
		delay = self.retries.delay(row["attempts"], row["name"])
		dead = delay is None
		name = record_error(
			self.runtime,
			error,
			operation="Webhook",
			integration=row["integration"],
			redactor=self.redactor,
			webhook_log=row["name"],
			about=EVENT,
		)
		status, said = "Dead" if dead else "Failed", self.redactor.text(error, 500)
		attempt = self._attempt([row], status, error=said[:_SAID], error_log=name or "")
		settled = claims.settle(
			self.runtime,
			[row],
			attempt,
			status=status,
			turn=MY_TURN if dead else AT_TIME,
			next_attempt_at=None if dead else self.runtime.now(ahead=delay),
			error=said,
			error_log=name,
		)
		if settled and dead:
			let_on(self.runtime, [row])

	def _without(self, rows: list[Row], held_back: set[str]) -> list[Row]:
		"""Give back rows whose key is held back; return the others."""
		behind = [row for row in rows if row["ordering_key"] and row["ordering_key"] in held_back]
		claims.give_back(self.runtime, behind)
		return [row for row in rows if row not in behind] if behind else rows


def _facts(row: Row) -> tuple[Any, dict[str, str]]:
	"""Return what conditions look into: an event's payload, and the headers that it keeps."""
	return read_json(row["payload"]), json.loads(row.get("headers") or "{}")
