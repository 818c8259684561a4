"""Doing in one process what a site's scheduler and workers do: due streams, and the inbox."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from integration_hub.plain import logger_of
from integration_hub.stores.database import in_transaction
from integration_hub.stores.home import Home, HubError
from integration_hub.stores.retention import clear_logs
from integration_hub.sync.run import load_stream, run_stream
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


def work_once(home: Home) -> Worked:
	"""Run what is due now; return how much that was. A stream that cannot begin is refused, not raised."""
	done = Worked()
	for integration in sweep(home):
		done.events += drain(home, integration).total
	close_silent_runs(home)
	for stream in due_streams(home):
		try:
			run_stream(home, stream, "Schedule")
			done.runs += 1
		except HubError as error:
			done.refused = (*done.refused, str(error))
			in_transaction(home.db, lambda stream=stream: put_off(home, load_stream(home, stream)))
	return done


def work(home: Home, stop: threading.Event, report) -> None:
	"""Work until `stop` is set; `report` gets each Worked that did something. Reconnects with backoff."""
	failures, clear_at = 0, 0.0
	while not stop.is_set():
		try:
			done = work_once(home)
			if time.monotonic() >= clear_at:
				clear_logs(home)
				clear_at = time.monotonic() + _DAY
		except Exception as error:  # noqa: BLE001 - the database is away: what was begun is taken up again
			failures += 1
			pause = min(2.0**failures / 2, _LONGEST_BACKOFF)
			logger.warning("Work is broken off (%s); again in %.0f s", type(error).__name__, pause)
			home.reconnect()
			stop.wait(pause)
			continue
		failures = 0
		if done.runs or done.events or done.refused:
			report(done)
		stop.wait(_PAUSE)
