"""Doing in one process what a site's scheduler and workers do: due streams, and the inbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from integration_hub.plain import logger_of
from integration_hub.stores.database import in_transaction
from integration_hub.stores.home import Home
from integration_hub.stores.retention import clear_logs
from integration_hub.sync.faults import chore_guard, kept_apart, note_fault
from integration_hub.sync.run import AlreadyRunning, run_stream
from integration_hub.sync.schedule import close_silent_runs, due_streams, put_off
from integration_hub.webhooks.drain import drain, sweep

logger = logger_of("integration_hub")

_PAUSE = 1.0
_LONGEST_BACKOFF = 30.0
_DAY = 86_400.0


@dataclass
class Worked:
	runs: int = 0
	events: int = 0
	refused: tuple[str, ...] = ()

	def refuse(self, reason: str) -> None:
		self.refused = (*self.refused, reason)


class Resting:
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


# Of homes that are worked on for long: who asks for what is due now wants it tried.
_resting: WeakKeyDictionary[Home, Resting] = WeakKeyDictionary()


def work_once(home: Home) -> Worked:
	"""Do what is due now; return how much that was. What fails is logged where it belongs, and stops nothing else.

	A stream that cannot begin, and an integration whose events cannot be handled, are refused, not raised. Raises what
	the database fails with where it is away.
	"""
	done, resting = Worked(), _resting.get(home) or Resting()
	for integration in _chore(home, done, resting, "sweep", lambda: sweep(home)):
		_drain(home, done, resting, integration)
	_chore(home, done, resting, "close silent runs", lambda: close_silent_runs(home))
	for stream in _chore(home, done, resting, "look for due streams", lambda: due_streams(home)):
		_run(home, done, stream)
	return done


def _chore(home: Home, done: Worked, resting: Resting, name: str, work: Callable[[], list[str]]) -> list[str]:
	"""Return what a chore finds, nothing where it fails or rests."""
	found: list[str] = []
	if name not in resting:
		with kept_apart(home, operation="Work") as kept:
			found = work()
		_note(done, resting, name, kept.error)
	return found


def _drain(home: Home, done: Worked, resting: Resting, integration: str) -> None:
	place = f"drain {integration}"
	if place not in resting:
		with kept_apart(home, operation="Webhook", integration=integration) as kept:
			done.events += drain(home, integration).total
		_note(done, resting, place, kept.error)


def _note(done: Worked, resting: Resting, place: str, error: str) -> None:
	resting.note(place, bool(error))
	if error:
		done.refuse(f"{place}: {error}")


def _run(home: Home, done: Worked, stream: str) -> None:
	"""Run a stream; one that cannot begin has it logged, and waits for its next turn."""
	try:
		run_stream(home, stream, "Schedule")
		done.runs += 1
	except AlreadyRunning as error:
		done.refuse(str(error))
		in_transaction(home.db, lambda: put_off(home, stream))
	except Exception as error:  # noqa: BLE001 - the boundary of one stream: the others have their turn
		_put_off(home, done, stream, error)


def _put_off(home: Home, done: Worked, stream: str, error: Exception) -> None:
	done.refuse(note_fault(home, error, operation="Sync", stream=stream))
	in_transaction(home.db, lambda: put_off(home, stream))


def work(home: Home, stop: threading.Event, report: Callable[[Worked], None]) -> None:
	"""Work until `stop` is set; `report` gets each Worked that did something. Reconnects with backoff."""
	failures, clear_at = 0, 0.0
	_resting[home] = Resting()
	while not stop.is_set():
		try:
			done = work_once(home)
			if time.monotonic() >= clear_at:
				clear_at = time.monotonic() + _DAY
				clear_logs(home, chore_guard(home))
		except Exception as error:  # noqa: BLE001 - the database is away: what was begun is taken up again
			failures += 1
			pause = min(2.0 ** min(failures, 10) / 2, _LONGEST_BACKOFF)
			logger.warning("Work is broken off (%s); again in %.0f s", type(error).__name__, pause)
			home.reconnect()
			stop.wait(pause)
			continue
		failures = 0
		if done.runs or done.events or done.refused:
			report(done)
		stop.wait(_PAUSE)
