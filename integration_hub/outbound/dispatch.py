"""Sending what is in the outbox: claimed by as many dispatchers as there are workers, a document's deliveries in order."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from integration_hub.connectors import errors
from integration_hub.connectors.app_code import attempt
from integration_hub.connectors.base import BaseConnector
from integration_hub.outbound.collect import collect
from integration_hub.outbound.config import load_outbound
from integration_hub.outbound.decide import End, Memory
from integration_hub.outbound.deliver import ClaimLost, Delivering, Put, Rejected, Told
from integration_hub.outbound.rendering import Unbound
from integration_hub.outbound.scan import scan_due
from integration_hub.outbound.transports import sender
from integration_hub.stores import claims, deliveries, outbox
from integration_hub.stores.attempts import Attempt
from integration_hub.stores.database import Row, in_transaction
from integration_hub.stores.error_log import record_error
from integration_hub.stores.ordering import AT_TIME, MY_TURN, let_on
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.sent_records import external_ids
from integration_hub.stores.work_table import OUTBOX
from integration_hub.sync.sweeping import sweep_table

MAX_ATTEMPTS = 12
MAX_DEFERRALS = 50
CLAIMED_AT_ONCE = 10  # a worker that dies holds no more of them
_FIRST_RETRY, _LAST_RETRY = 30.0, 8 * 3600.0
_PATIENCE = 5.0  # seconds that a worker waits for the budget; beyond, the delivery does
_LONGEST_DEFERRAL = 300.0
_SAID = 200


@dataclass
class Dispatched:
	"""Counts of the deliveries that one dispatcher has settled, by outcome."""

	delivered: int = 0
	unchanged: int = 0
	rejected: int = 0
	failed: int = 0
	deferred: int = 0

	@property
	def total(self) -> int:
		"""Return how many deliveries were settled."""
		return self.delivered + self.unchanged + self.rejected + self.failed + self.deferred


def sweep(runtime: Runtime) -> list[str]:
	"""Take changes of the outbox up, and what was left behind of deliveries; return the integrations that were woken."""
	scan_due(runtime)
	collect(runtime)
	return sweep_table(runtime, OUTBOX, MAX_ATTEMPTS, runtime.enqueue_dispatch)


def dispatch(runtime: Runtime, integration: str, seconds: float = 240) -> Dispatched:
	"""Send the due deliveries of an integration, for at most `seconds`, or until the system asks for a pause."""
	done, deadline = Dispatched(), time.monotonic() + seconds
	config = runtime.integration(integration)
	if not config.enabled:
		return done
	collect(runtime)
	with claims.slot(runtime, integration, OUTBOX) as slot, runtime.as_user(config.run_as_user):
		if slot:
			with _connector(runtime, integration) as connector:
				_Dispatcher(runtime, integration, connector, done).work(slot, deadline)
	return done


@contextmanager
def _connector(runtime: Runtime, integration: str) -> Iterator[BaseConnector]:
	"""Make a connector that waits for little: a delivery waits better than a worker."""
	with runtime.connector(integration) as connector:
		connector.patience = min(connector.patience, _PATIENCE)
		connector.retry = connector.retry.hurried(_PATIENCE / 2)
		yield connector


class _Dispatcher:
	def __init__(
		self, runtime: Runtime, integration: str, connector: BaseConnector, done: Dispatched
	) -> None:
		self.runtime, self.integration, self.connector, self.done = runtime, integration, connector, done
		self.paused = False
		self._sender = cache(self._make)

	def work(self, slot: str, deadline: float) -> None:
		"""Claim and send until nothing is due, the time is over, or the system asks for a pause."""
		while time.monotonic() < deadline and not self.paused:
			rows = claims.claim_due(self.runtime, self.integration, CLAIMED_AT_ONCE, slot, deadline, OUTBOX)
			if not rows and not collect(self.runtime):
				return
			while rows:
				if self.paused or time.monotonic() >= deadline:
					claims.give_back(self.runtime, rows, OUTBOX)
					return
				row, *rows = rows
				if not self._deliver(row):
					rows = self._without_later(row, rows)

	def _without_later(self, row: Row, rows: list[Row]) -> list[Row]:
		"""Give back the later deliveries of a document one of which is not settled; return the others."""
		behind = [one for one in rows if one["ordering_key"] == row["ordering_key"]]
		claims.give_back(self.runtime, behind, OUTBOX)
		return [one for one in rows if one not in behind]

	def _make(self, stream: str) -> Delivering:
		settings = load_outbound(self.runtime, stream)
		return Delivering(
			self.runtime, settings, self.connector, sender(self.runtime, settings, self.connector)
		)

	def _deliver(self, row: Row) -> bool:
		"""Send a claimed delivery and write its end; tell whether it is settled, so that the next one may go."""
		told, began, at = Told(), time.perf_counter(), self.runtime.now()
		end, memory = End("Failed"), Memory()
		with attempt(self.runtime.db.is_transient) as tried:
			end = self._sender(row["stream"]).deliver(row, told, memory)
		taken = {"seconds": time.perf_counter() - began, "at": at, "told": told}
		error = tried.error
		if isinstance(error, ClaimLost):
			return False
		if isinstance(error, Put):
			error, end = None, error.end
		if isinstance(error, errors.RetryLater):
			self.paused = isinstance(error, errors.Paused | errors.BreakerOpen) or self.paused
			self._put_off(row, error, error.seconds, taken)
		elif isinstance(error, Unbound) and row["deferrals"] < MAX_DEFERRALS:
			self._wait_for_parent(row, error, taken)
		elif error and not isinstance(error, Rejected):
			self._fail(row, error, taken)
		else:
			self._end(row, End("Rejected", str(error)) if error else end, memory, taken)
			return True
		return False

	def _end(self, row: Row, end: End, memory: Memory, taken: dict[str, Any]) -> None:
		counted = {"Delivered": "delivered", "Unchanged": "unchanged"}.get(end.status, "rejected")
		setattr(self.done, counted, getattr(self.done, counted) + 1)
		if end.drop and not row["attempts_log"]:
			in_transaction(self.runtime.db, lambda: self._drop(row))
			return
		said = self.connector.redactor.text(end.error, 500)
		values = {"status": end.status, "error": said or None, "error_log": None}
		if memory.modified:
			values |= {"document_modified": memory.modified, "operation": "Upsert"}
		if end.status == "Delivered":
			values["delivered_at"] = self.runtime.now()
		if memory.removed:
			values["operation"] = "Delete"
		if memory.rendered:
			values["payload_hash"] = memory.rendered.hash
		in_transaction(self.runtime.db, lambda: self._settle(row, values, end.status, said, taken))

	def _drop(self, row: Row) -> None:
		"""Delete a delivery that has nothing to do with the stream: its document does not fit the filters."""
		where = f"`name` = %s AND `claim` = %s AND `status` = '{OUTBOX.taken}'"
		sql = f"DELETE FROM `tab{deliveries.DOCTYPE}` WHERE {where}"
		if self.runtime.db.execute(sql, [row["name"], row["claim"]]):
			let_on(self.runtime, [row], OUTBOX)

	def _settle(
		self, row: Row, values: dict[str, Any], outcome: str, said: str, taken: dict[str, Any], log: str = ""
	) -> bool:
		told: Told = taken["told"]
		values = {
			**values,
			"duration": round(taken["seconds"], 4),
			**(
				{"request": told.request, "response": told.response, "http_status": told.http_status}
				if told.request
				else {}
			),
			"external_id": self._external_id(row),
		}
		attempted = Attempt(
			taken["at"], taken["seconds"], outcome, told.title, error=said[:_SAID], error_log=log
		)
		settled = claims.settle(self.runtime, [row], attempted, OUTBOX, **values)
		if settled and values["status"] not in ("Failed", "Pending"):
			let_on(self.runtime, [row], OUTBOX)
		return settled

	def _external_id(self, row: Row) -> str:
		found = external_ids(self.runtime, row["stream"], [row["document"]])
		return found.get(row["document"]) or row["external_id"] or ""

	def _wait_for_parent(self, row: Row, error: Unbound, taken: dict[str, Any]) -> None:
		"""Have the document that is linked to sent first, if a stream of ours sends it, and come back."""
		in_transaction(self.runtime.db, lambda: self._send_parent(error))
		self._put_off(row, error, min(2.0 ** min(row["deferrals"], 9), _LONGEST_DEFERRAL), taken)

	def _send_parent(self, error: Unbound) -> None:
		sql = "SELECT `target_doctype` FROM `tabSync Settings` WHERE `name` = %s AND `direction` = 'Out' AND `enabled` = 1"
		for parent in self.runtime.db.query(sql, [error.stream]):
			change = outbox.change(parent["target_doctype"], error.document, "parent", stream=error.stream)
			outbox.append(self.runtime, [change])

	def _put_off(self, row: Row, error: Exception, seconds: float, taken: dict[str, Any]) -> None:
		"""Have a delivery come back later; that is no attempt. It gives its place up to nobody: it is one of its document."""
		self.done.deferred += 1
		said = self.connector.redactor.text(error, 500)
		values = {
			"status": "Failed" if row["attempts"] > 1 else OUTBOX.untried,
			"attempts": row["attempts"] - 1,
			"deferrals": row["deferrals"] + isinstance(error, Unbound),
			"next_attempt_at": self.runtime.now(ahead=max(seconds, 1.0)),
			"turn": AT_TIME,
			"error": said,
		}
		in_transaction(self.runtime.db, lambda: self._settle(row, values, "Deferred", said, taken))

	def _fail(self, row: Row, error: Exception, taken: dict[str, Any]) -> None:
		"""Count a failed attempt: it is tried again later, or dead after the last."""
		in_transaction(self.runtime.db, lambda: self._note_failure(row, error, taken))
		self.done.failed += 1

	def _note_failure(self, row: Row, error: Exception, taken: dict[str, Any]) -> None:
		dead = row["attempts"] >= MAX_ATTEMPTS
		log = record_error(
			self.runtime,
			error,
			operation="Delivery",
			integration=self.integration,
			redactor=self.connector.redactor,
			stream=row["stream"],
		)
		said = self.connector.redactor.text(error, 500)
		values = {
			"status": "Dead" if dead else "Failed",
			"turn": MY_TURN if dead else AT_TIME,
			"next_attempt_at": None if dead else self.runtime.now(ahead=retry_delay(row["attempts"])),
			"error": said,
			"error_log": log,
		}
		self._settle(row, values, values["status"], said, taken, log or "")


def retry_delay(attempts: int) -> float:
	"""Return the pause in seconds after the given number of failures: twelve attempts take about two days."""
	longest = min(_FIRST_RETRY * 4 ** (min(attempts, 20) - 1), _LAST_RETRY)
	return longest * random.uniform(0.8, 1.0)
