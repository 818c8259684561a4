"""The site behind the dedicated receiver: a connection a thread, and one hand-over for many events."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

import frappe

from integration_hub.runtime.frappe.database import FrappeDatabase
from integration_hub.runtime.frappe.runtime import FrappeRuntime
from integration_hub.stores.database import Params, Row
from integration_hub.terminal_text import logger_of
from integration_hub.webhooks.logged import logged
from integration_hub.webhooks.receiver import Receiver

logger = logger_of("integration_hub.webhooks")

_HAND_OVER_SECONDS = 0.25
_LOOK_SECONDS = 1.0
_IDLE_SECONDS = 1.0
_FRESH_SECONDS = 60.0  # then a thread begins again: Frappe keeps things for the time of a request


# When each integration's settings were last looked at, and when they were last saved; of this process.
_stamps: dict[tuple[str, str], tuple[float, str]] = {}


class InboxDatabase(FrappeDatabase):
	"""A connection that nothing but the inbox is on, and so is always between two transactions.

	On MariaDB it goes past what frappe.db does around a statement: an event is two round trips, its insert and
	the commit. A new snapshot is not begun before, as elsewhere: the unique index decides, whatever it shows.
	"""

	reading = False  # since the last commit: is there a snapshot?

	def rest(self) -> None:
		"""End what a query has begun.

		While a snapshot is kept, the server throws away nothing that it shows, and what others ask of the inbox takes
		ever longer.
		"""
		if not self.reading:
			return
		self.reading = False
		if self.dialect == "mariadb":
			frappe.db._conn.rollback()
		else:
			frappe.db.rollback()

	def query(self, sql: str, params: Params = None) -> list[Row]:
		"""Return the rows of a SELECT, and note that the transaction holds a snapshot now."""
		self.reading = True
		return super().query(sql, params)

	def execute(self, sql: str, params: Params = None) -> int:
		"""Run a statement; on MariaDB directly with the driver, which costs less."""
		if self.dialect != "mariadb":
			return super().execute(sql, params)
		frappe.db._cursor.execute(sql, params or ())
		return frappe.db._cursor.rowcount

	@contextmanager
	def transaction(self) -> Iterator[None]:
		"""Commit at the end of the block, or roll back; on MariaDB without Frappe's own work around it."""
		if self.dialect != "mariadb":
			with super().transaction():
				yield
			self.reading = False
			return
		if not frappe.db._conn:  # Frappe connects with the first statement that goes through it
			frappe.db.connect()
		try:
			yield
		except BaseException as error:
			with suppress(Exception) if self._is_lost(error) else nullcontext():
				frappe.db._conn.rollback()
			raise
		frappe.db._conn.commit()
		self.reading = False

	def is_transient(self, error: BaseException) -> bool:
		"""Tell whether repeating the transaction may help, for the driver's own errors too."""
		if super().is_transient(error):
			return True
		return isinstance(error, frappe.db.OperationalError) and (
			frappe.db.is_deadlocked(error) or frappe.db.is_timedout(error)
		)


class EndpointRuntime(FrappeRuntime):
	"""A runtime whose database has nothing to do but the inbox; of a request at the site's endpoint or the receiver."""

	def __init__(self) -> None:
		super().__init__()
		self.db = InboxDatabase()

	def settings_stamp(self, integration: str) -> str:
		"""Look once a second whether settings have changed."""
		place = (self.identity, integration)
		looked, stamp = _stamps.get(place, (0.0, ""))
		if not stamp or time.monotonic() - looked > _LOOK_SECONDS:
			frappe.db.rollback()  # a new snapshot
			stamp = super().settings_stamp(integration)
			frappe.db.rollback()  # what is asked once an event is committed is not answered from this one
			self.db.reading = True  # they are, where they have changed
			if stamp:
				_stamps[place] = (time.monotonic(), stamp)
		return stamp


class ReceiverRuntime(EndpointRuntime):
	"""A runtime that says which inbox has something new and leaves the job queue to the endpoint."""

	def __init__(self, waiting: set[str]) -> None:
		super().__init__()
		self._waiting = waiting

	def enqueue_drain(self, integration: str, number: int = 0) -> None:
		"""Note that the integration's inbox is to be drained; the job is made after the answer."""
		self._waiting.add(integration)


def application(site: str) -> Receiver:
	"""Return the receiver of a site."""
	return Receiver(ThreadRuntimes(site))


class ThreadRuntimes:
	"""Opens the runtimes of the threads of one process."""

	def __init__(self, site: str) -> None:
		self.site = site
		self._waiting: set[str] = set()
		self._thread = threading.local()
		threading.Thread(target=self._hand_over, daemon=True, name="integration-hub-hand-over").start()

	def __call__(self) -> AbstractContextManager[ReceiverRuntime]:
		return self._runtime()

	@contextmanager
	def _runtime(self) -> Iterator[ReceiverRuntime]:
		if not self._usable():
			self._connect()
		try:
			yield self._thread.runtime
		finally:
			with suppress(Exception):  # a connection that is broken is made again when it is needed
				self._thread.runtime.db.rest()

	def _usable(self) -> bool:
		"""Tell whether the thread's connection is there and not too old."""
		now = time.monotonic()
		if now >= getattr(self._thread, "until", 0.0):
			return False
		idle, self._thread.used = now - self._thread.used, now
		if (
			idle > _IDLE_SECONDS
		):  # the database may have been restarted; one that breaks in use is made again then
			try:
				frappe.db.rollback()
			except FrappeDatabase().errors:  # another connection is needed
				return False
		return True

	def _connect(self) -> None:
		self._thread.until = 0.0
		frappe.destroy()
		frappe.init(site=self.site)
		frappe.connect()
		self._thread.runtime = ReceiverRuntime(self._waiting)
		self._thread.used = time.monotonic()
		self._thread.until = self._thread.used + _FRESH_SECONDS

	def _hand_over(self) -> None:
		"""Have workers drain what came in since the last time. What is lost here the sweep finds."""
		while True:
			time.sleep(_HAND_OVER_SECONDS)
			while self._waiting:
				integration = self._waiting.pop()
				with (
					logged("Inbox of %s not handed over; the sweep will", integration),
					self._runtime() as runtime,
				):
					FrappeRuntime.enqueue_drain(runtime, integration)
