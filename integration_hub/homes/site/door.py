"""The site behind the dedicated receiver: a connection a thread, and one hand-over for many events."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import frappe

from integration_hub.homes.site.home import SiteHome

logger = logging.getLogger("integration_hub.webhooks")

_HAND_OVER_SECONDS = 0.25
_FRESH_SECONDS = 60.0  # then a thread begins anew: Frappe keeps things for the time of a request


class DoorHome(SiteHome):
	"""A home that says which inbox has something new and leaves the job queue to the door."""

	def __init__(self, waiting: set[str]):
		super().__init__()
		self._waiting = waiting

	def enqueue_drain(self, integration: str, number: int = 0) -> None:
		self._waiting.add(integration)


class SiteDoor:
	"""Opens the homes of the threads of one process."""

	def __init__(self, site: str):
		self.site = site
		self._waiting: set[str] = set()
		self._thread = threading.local()
		threading.Thread(target=self._hand_over, daemon=True, name="integration-hub-hand-over").start()

	def __call__(self) -> AbstractContextManager[DoorHome]:
		return self._home()

	@contextmanager
	def _home(self) -> Iterator[DoorHome]:
		if not self._usable():
			self._connect()
		yield self._thread.home

	def _usable(self) -> bool:
		"""Tell whether the thread's connection is there and not too old; begins a new snapshot on it."""
		if time.monotonic() >= getattr(self._thread, "until", 0.0):
			return False
		try:
			frappe.db.rollback()
		except Exception:  # noqa: BLE001 - the database was restarted, or closed an idle connection
			return False
		return True

	def _connect(self) -> None:
		self._thread.until = 0.0
		frappe.destroy()
		frappe.init(site=self.site)
		frappe.connect()
		self._thread.home = DoorHome(self._waiting)
		self._thread.until = time.monotonic() + _FRESH_SECONDS

	def _hand_over(self) -> None:
		"""Have workers drain what came in since the last time. What is lost here the sweep finds."""
		while True:
			time.sleep(_HAND_OVER_SECONDS)
			while self._waiting:
				integration = self._waiting.pop()
				try:
					with SiteHome.opened(self.site) as home:
						home.enqueue_drain(integration)
				except Exception:
					logger.exception("Inbox of %s not handed over; the sweep will", integration)
