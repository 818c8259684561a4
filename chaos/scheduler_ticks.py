"""The scheduler's jobs of a minute, run every few seconds: python -m chaos.scheduler_ticks SITE"""

from __future__ import annotations

import logging
import sys
import threading

import frappe

from chaos.site import opened
from integration_hub.commands.base import until_stopped

_EVERY = 3.0
_OURS = {"method": ["like", "integration_hub.%"], "stopped": 0}
logger = logging.getLogger("chaos")


def run(site: str, stop: threading.Event) -> None:
	with opened(site) as runtime:
		while not stop.wait(_EVERY):
			try:
				tick()
			except Exception as error:  # noqa: BLE001 - the database or Redis is away: the next tick will do
				logger.warning("No tick (%s)", type(error).__name__)
				runtime.reconnect()


def tick() -> None:
	"""Enqueue the app's scheduled jobs as the scheduler does: unless they are known as queued or started."""
	frappe.db.commit()  # a new snapshot
	for name in frappe.get_all("Scheduled Job Type", filters=_OURS, pluck="name"):
		frappe.get_doc("Scheduled Job Type", name).enqueue(force=True)


if __name__ == "__main__":
	logging.basicConfig(level=logging.WARNING)
	with until_stopped() as stop:
		run(sys.argv[1], stop)
