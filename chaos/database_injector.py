"""Writes of the run itself into the hub's database, in a thread of their own: they may have to wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from chaos.settings import STREAMS
from integration_hub.stores.database import in_list, in_transaction
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.schedule import want
from integration_hub.webhooks.event_retries import MAX_ATTEMPTS

_EVERY = 1.0  # seconds between two calls for each stream
_HOUR = 3600.0  # longer than anything waits by these settings, and shorter than a clock is ahead


class DatabaseInjector(threading.Thread):
	"""Has the streams run all the time, and lets time pass when it is told to."""

	def __init__(self, open_runtime: Callable[[], AbstractContextManager[Runtime]]):
		super().__init__(name="hand", daemon=True)
		self._open, self._told = open_runtime, queue.Queue()
		self._ask = want_all

	def do(self, work: Callable[[Runtime], None]) -> None:
		"""Have something done soon; not at all, where the database does not let it."""
		self._told.put(work)

	def leave_alone(self) -> None:
		"""Have the streams run as they are scheduled from now on, though soon."""
		self._ask = turns_are_due

	def stop(self) -> None:
		self._told.put(None)
		self.join()

	def run(self) -> None:
		with self._open() as runtime:
			while True:
				try:
					work = self._told.get(timeout=_EVERY)
				except queue.Empty:
					work = self._ask
				if not work:
					return
				try:
					work(runtime)
				except Exception:  # noqa: BLE001 - the database was stopped, or is busy: the next time will do
					runtime.reconnect()


def want_all(runtime: Runtime) -> None:
	for stream in STREAMS:
		in_transaction(runtime.db, lambda stream=stream: want(runtime, stream))


def turns_are_due(runtime: Runtime) -> None:
	"""Let streams wait for their turn no longer, unless that is hours ahead, which the hub has to mend."""
	sql = "UPDATE `tabSync Settings` SET `next_run_at` = %s WHERE `next_run_at` BETWEEN %s AND %s"
	now = runtime.now()
	in_transaction(runtime.db, lambda: runtime.db.execute(sql, [now, now, runtime.now(ahead=_HOUR)]))


def retries_are_due(runtime: Runtime) -> None:
	"""Let what waits for its next attempt wait no longer, unless that is hours ahead, which the hub has to mend."""
	sql = """UPDATE `tabWebhook Log` SET `next_attempt_at` = %s WHERE `status` IN ('Failed', 'Queued')
		AND (`next_attempt_at` < %s OR `next_attempt_at` IS NULL)"""
	in_transaction(runtime.db, lambda: runtime.db.execute(sql, [runtime.now(), runtime.now(ahead=_HOUR)]))


def hours_ahead(runtime: Runtime) -> dict[str, int]:
	"""Return how much waits for a time that is hours ahead, or is held since such a time."""
	then = runtime.now(ahead=_HOUR)
	found = {}
	for what, (table, state, field) in _WAITS.items():
		sql = f"SELECT COUNT(*) AS `n` FROM `tab{table}` WHERE {state} AND `{field}` > %s"
		found[what] = runtime.db.query(sql, [then])[0]["n"]
	return found


_WAITS = {
	"events to be tried hours ahead": ("Webhook Log", "`status` IN ('Failed', 'Queued')", "next_attempt_at"),
	"events taken hours ahead": ("Webhook Log", "`status` = 'Processing'", "claimed_at"),
	"streams due hours ahead": ("Sync Settings", "`enabled` = 1", "next_run_at"),
	"runs alive hours ahead": ("Sync Log", "`status` = 'Running'", "heartbeat_at"),
}


def last_attempts(runtime: Runtime, ids: Collection[str]) -> None:
	"""Let failed events have one more attempt, and no more."""
	marks, values = in_list(ids)
	sql = f"UPDATE `tabWebhook Log` SET `attempts` = %s WHERE `status` = 'Failed' AND `event_id` IN ({marks})"
	in_transaction(runtime.db, lambda: runtime.db.execute(sql, [MAX_ATTEMPTS - 1, *values]))


def time_passes(runtime: Runtime) -> None:
	"""Move what is written of time in the hub's tables by a quarter of an hour, rather than its clock."""
	db, past = runtime.db, runtime.now(ahead=-16 * 60)

	def move() -> None:
		db.execute("UPDATE `tabWebhook Log` SET `claimed_at` = %s WHERE `status` = 'Processing'", [past])
		db.execute("UPDATE `tabWebhook Log` SET `next_attempt_at` = %s WHERE `status` = 'Failed'", [past])
		db.execute("UPDATE `tabSync Log` SET `heartbeat_at` = %s WHERE `status` = 'Running'", [past])

	in_transaction(db, move)
