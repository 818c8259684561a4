"""The time an event takes from POST to Completed, under a steady load, on a real site: the receiver and one worker.

From the bench's sites folder: ../env/bin/python -m benchmarks.inbox_lag_on_site SITE  (this checkout on PYTHONPATH).
It makes an integration of its own and takes it away. The bench's own workers should be stopped meanwhile: they would
take the jobs, and do not know the handler.
"""

from __future__ import annotations

import sys
import time
from subprocess import DEVNULL, Popen
from zoneinfo import ZoneInfo

import frappe
from frappe.utils import get_system_timezone

from benchmarks.endpoints_on_site import NAME, clear, prepare
from benchmarks.figures import say
from benchmarks.inbox_lag import figures_of, steady
from benchmarks.load import server
from integration_hub.preload import preload
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.sandbox.redis import free_port

HANDLERS = {"nothing": "benchmarks.inbox_drain.nothing"}


def work() -> None:
	"""Work as `bench worker` does, and know the handler."""
	from frappe.utils.background_jobs import start_worker

	preload()
	FrappeRuntime.handlers = lambda self: HANDLERS
	start_worker("short,default,long", quiet=True)


def completed(count: int) -> dict[str, float]:
	"""Wait until all events are completed; return when each was, by its id."""
	zone, rows = ZoneInfo(get_system_timezone()), []
	for _ in range(600):
		frappe.db.rollback()
		rows = frappe.get_all(
			"Webhook Log",
			filters={"integration": NAME, "status": "Completed"},
			fields=["event_id", "completed_at"],
		)
		if len(rows) == count:
			break
		time.sleep(0.1)
	return {row.event_id: row.completed_at.replace(tzinfo=zone).timestamp() for row in rows}


def main(site: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	frappe.set_user("Administrator")
	prepare()
	port, python = free_port(), [sys.executable, "-m"]
	receiver = server([*python, "benchmarks.endpoints_on_site", site, "serve", "receiver", str(port)], port)
	worker = Popen([*python, "benchmarks.inbox_lag_on_site", site, "work"], stdout=DEVNULL, stderr=DEVNULL)
	try:
		with receiver:
			sent = steady(f"http://127.0.0.1:{port}/webhooks/{NAME}")
			ended = completed(len(sent))
	finally:
		worker.terminate()
		worker.wait()
		clear()
	say(figures_of(sent, ended))


if __name__ == "__main__":
	if sys.argv[2:3] == ["work"]:
		work()
	else:
		main(sys.argv[1])
