"""Doing in one process what a site's scheduler and workers do: due streams, and the inbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from integration_hub.outbound import dispatch
from integration_hub.stores.database import in_transaction
from integration_hub.stores.retention import clear_logs
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.fault_isolation import chore_guard, isolated
from integration_hub.sync.run import AlreadyRunning, run_stream
from integration_hub.sync.schedule import close_silent_runs, due_streams, put_off
from integration_hub.terminal_text import logger_of
from integration_hub.webhooks.drain import drain, sweep

logger = logger_of("integration_hub")

_PAUSE = 1.0
_LONGEST_BACKOFF = 30.0
_DAY = 86_400.0


@dataclass
class Worked:
	"""Counts of one round of the worker, and why runs that were due were refused."""

	runs: int = 0
	events: int = 0
	sent: int = 0
	failed: int = 0
	refused: tuple[str, ...] = ()

	def refuse(self, reason: str) -> None:
		"""Add the reason why a run was refused."""
		self.refused = (*self.refused, reason)


class Backoffs:
	"""Backoff of what has failed, for each stream, integration and chore by itself."""

	def __init__(self) -> None:
		self._failures: dict[str, int] = {}
		self._until: dict[str, float] = {}

	def __contains__(self, place: str) -> bool:
		return time.monotonic() < self._until.get(place, 0.0)

	def note(self, place: str, failed: bool) -> None:
		"""Take note of how it went at a place: after each failure in a row it rests for longer."""
		if not failed:
			self._failures.pop(place, None)
			return
		count = self._failures[place] = self._failures.get(place, 0) + 1
		self._until[place] = time.monotonic() + min(2.0 ** min(count, 10), _LONGEST_BACKOFF)


# Of runtimes that are worked on for long: who asks for what is due now wants it tried.
_backoffs: WeakKeyDictionary[Runtime, Backoffs] = WeakKeyDictionary()


def work_once(runtime: Runtime) -> Worked:
	"""Do what is due now; return how much that was. What fails is logged where it belongs, and stops nothing else.

	A stream that cannot begin, and an integration whose events cannot be handled, are refused, not raised. Raises what
	the database fails with where it is away.
	"""
	done, backoffs = Worked(), _backoffs.get(runtime) or Backoffs()
	for integration in _chore(runtime, done, backoffs, "sweep", lambda: sweep(runtime)):
		_drain(runtime, done, backoffs, integration)
	for integration in _chore(runtime, done, backoffs, "sweep the outbox", lambda: dispatch.sweep(runtime)):
		_dispatch(runtime, done, backoffs, integration)
	_chore(runtime, done, backoffs, "close silent runs", lambda: close_silent_runs(runtime))
	for stream in _chore(runtime, done, backoffs, "look for due streams", lambda: due_streams(runtime)):
		_run(runtime, done, stream)
	return done


def _chore(
	runtime: Runtime, done: Worked, backoffs: Backoffs, name: str, work: Callable[[], list[str]]
) -> list[str]:
	"""Return what a chore finds, nothing where it fails or rests."""
	found: list[str] = []
	if name not in backoffs:
		with isolated(runtime, operation="Work") as kept:
			found = work()
		_note(done, backoffs, name, kept.error)
	return found


def _drain(runtime: Runtime, done: Worked, backoffs: Backoffs, integration: str) -> None:
	place = f"drain {integration}"
	if place not in backoffs:
		with isolated(runtime, operation="Webhook", integration=integration) as kept:
			drained = drain(runtime, integration)
			done.events += drained.total
			done.failed += drained.failed
		_note(done, backoffs, place, kept.error)


def _dispatch(runtime: Runtime, done: Worked, backoffs: Backoffs, integration: str) -> None:
	place = f"send to {integration}"
	if place not in backoffs:
		with isolated(runtime, operation="Delivery", integration=integration) as kept:
			sent = dispatch.dispatch(runtime, integration)
			done.sent += sent.delivered
			done.failed += sent.failed + sent.rejected
		_note(done, backoffs, place, kept.error)


def _note(done: Worked, backoffs: Backoffs, place: str, error: str) -> None:
	backoffs.note(place, bool(error))
	if error:
		done.refuse(f"{place}: {error}")


def _run(runtime: Runtime, done: Worked, stream: str) -> None:
	"""Run a stream; one that cannot begin has it logged, and waits for its next turn."""
	try:
		with isolated(runtime, operation="Sync", stream=stream, passing=AlreadyRunning) as kept:
			run_stream(runtime, stream, "Schedule")
			done.runs += 1
	except AlreadyRunning as error:
		kept.error = str(error)
	if kept.error:
		done.refuse(kept.error)
		in_transaction(runtime.db, lambda: put_off(runtime, stream))


def work(runtime: Runtime, stop: threading.Event, report: Callable[[Worked], None]) -> None:
	"""Work until `stop` is set; `report` gets each Worked that did something. Reconnects with backoff."""
	failures, clear_at = 0, 0.0
	_backoffs[runtime] = Backoffs()
	while not stop.is_set():
		try:
			done = work_once(runtime)
			if time.monotonic() >= clear_at:
				clear_at = time.monotonic() + _DAY
				clear_logs(runtime, chore_guard(runtime))
		except Exception as error:  # noqa: BLE001 - the boundary of a worker: the database is away
			failures += 1
			pause = min(2.0 ** min(failures, 10) / 2, _LONGEST_BACKOFF)
			logger.warning("Work is broken off (%s); again in %.0f s", type(error).__name__, pause)
			runtime.reconnect()
			stop.wait(pause)
			continue
		failures = 0
		if done.runs or done.events or done.sent or done.failed or done.refused:
			report(done)
		stop.wait(_PAUSE)
