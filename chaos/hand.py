"""What the run itself writes into the hub's database: in a thread of its own, since it may have to wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from chaos.settings import STREAMS
from integration_hub.stores.database import in_list, in_transaction
from integration_hub.stores.home import Home
from integration_hub.sync.schedule import want
from integration_hub.webhooks.batch import MAX_ATTEMPTS

_EVERY = 1.0  # seconds between two calls for each stream


class Hand(threading.Thread):
	"""Has the streams run all the time, and lets time pass when it is told to."""

	def __init__(self, open_home: Callable[[], AbstractContextManager[Home]]):
		super().__init__(name="hand", daemon=True)
		self._open, self._told = open_home, queue.Queue()

	def do(self, work: Callable[[Home], None]) -> None:
		"""Have something done soon; not at all, where the database does not let it."""
		self._told.put(work)

	def stop(self) -> None:
		self._told.put(None)
		self.join()

	def run(self) -> None:
		with self._open() as home:
			while True:
				try:
					work = self._told.get(timeout=_EVERY)
				except queue.Empty:
					work = want_all
				if not work:
					return
				try:
					work(home)
				except Exception:  # noqa: BLE001 - the database was stopped, or is busy: the next time will do
					home.reconnect()


def want_all(home: Home) -> None:
	for stream in STREAMS:
		in_transaction(home.db, lambda stream=stream: want(home, stream))


def retries_are_due(home: Home) -> None:
	"""Let what waits for its next attempt wait no longer."""
	sql = "UPDATE `tabWebhook Log` SET `next_attempt_at` = %s WHERE `status` IN ('Failed', 'Queued')"
	in_transaction(home.db, lambda: home.db.execute(sql, [home.now()]))


def last_attempts(home: Home, ids: Collection[str]) -> None:
	"""Let failed events have one more attempt, and no more."""
	marks, values = in_list(ids)
	sql = f"UPDATE `tabWebhook Log` SET `attempts` = %s WHERE `status` = 'Failed' AND `event_id` IN ({marks})"
	in_transaction(home.db, lambda: home.db.execute(sql, [MAX_ATTEMPTS - 1, *values]))


def time_passes(home: Home) -> None:
	"""Move what is written of time in the hub's tables by a quarter of an hour, rather than its clock."""
	db, past = home.db, home.now(ahead=-16 * 60)

	def move() -> None:
		db.execute("UPDATE `tabWebhook Log` SET `claimed_at` = %s WHERE `status` = 'Processing'", [past])
		db.execute("UPDATE `tabWebhook Log` SET `next_attempt_at` = %s WHERE `status` = 'Failed'", [past])
		db.execute("UPDATE `tabSync Log` SET `heartbeat_at` = %s WHERE `status` = 'Running'", [past])

	in_transaction(db, move)
