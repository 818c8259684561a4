"""Handling events on a real site: ratios within one run; medians.

From the bench's sites folder: ../env/bin/python -m benchmarks.inbox_drain SITE  (this checkout on PYTHONPATH).
It makes an integration of its own and takes it away. The bench's workers should rest meanwhile.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import frappe

from benchmarks.figures import ROUNDS, Figure, say, size
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores import claims, inbox
from integration_hub.stores.database import insert_many
from integration_hub.stores.ids import key, new_id
from integration_hub.webhooks.batch import Batch, Drained
from integration_hub.webhooks.drain import drain

NAME = "hub-benchmark"
COUNT = size(4000, quick=500)
FEW = size(40, quick=10)  # one job an event is measured on fewer
ONE_JOB = f"one job an event, trivial handler, {FEW} of them"


def nothing(payload: object, event: object) -> None:
	"""The trivial handler."""


def write(payload: dict, event: object) -> None:
	"""One statement, as a small handler has."""
	frappe.db.set_value("Role", "Guest", "idx", payload["n"], update_modified=False)


class Runtime(FrappeRuntime):
	def handlers(self) -> dict[str, str]:
		return {"nothing": "benchmarks.inbox_drain.nothing", "write": "benchmarks.inbox_drain.write"}


def prepare(handler: str, count: int, keys: int = 0) -> None:
	"""Fill the inbox with due events, a number of ordering keys among them."""
	clear()
	runtime, now = Runtime(), frappe.utils.now()
	frappe.get_doc(
		{"doctype": "Integration Settings", "integration_name": NAME, "base_url": "https://example.com"}
	).insert()
	route = {"doctype": "Webhook Route", "parent": NAME, "parenttype": "Integration Settings"}
	route |= {"parentfield": "routes", "event_pattern": "*", "action": "Call Function", "handler": handler}
	frappe.get_doc(route).db_insert()
	columns = "name creation modified integration event_type event_id door status received_at next_attempt_at"
	columns += " payload event_key ordering_key"
	rows = [
		(
			new_id(), now, now, NAME, "x", str(n), "HTTP", "Queued", now, now, f'{{"n": {n}}}', key(NAME, str(n)),
			f"key-{n % keys}" if keys else "",
		)
		for n in range(count)
	]  # fmt: skip
	insert_many(runtime.db, inbox.DOCTYPE, columns.split(), rows)
	frappe.db.commit()


def clear() -> None:
	frappe.db.delete("Webhook Log", {"integration": NAME})
	frappe.db.delete("Webhook Route", {"parent": NAME})
	frappe.delete_doc("Integration Settings", NAME, ignore_missing=True, force=True)
	frappe.db.commit()


def in_process() -> None:
	done = drain(Runtime(), NAME)
	assert done.failed == 0, done


def one_job_an_event() -> None:
	"""What `frappe.enqueue` for each event comes to: a job, and a fork of the worker, each."""
	from benchmarks.inbox_drain import handle_one as job  # by its module's name, which the worker imports

	for _ in range(FEW):
		frappe.enqueue(job, queue="short")
	command = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "worker"]
	subprocess.run(
		[*command, "--burst", "--quiet", "--queue", "short"], check=True, stdout=subprocess.DEVNULL
	)


def handle_one() -> None:
	runtime = Runtime()
	rows = claims.claim_due(runtime, NAME, 1)
	from integration_hub.connectors.redact import Redactor

	Batch(runtime, NAME, Redactor(), Drained()).handle(rows, time.monotonic() + 60)


def rate(count: int, ready: Callable[[], None], work: Callable[[], None]) -> float:
	took = []
	for _ in range(ROUNDS):
		ready()
		started = time.perf_counter()
		work()
		took.append(time.perf_counter() - started)
		frappe.db.commit()
		assert frappe.db.count("Webhook Log", {"integration": NAME, "status": "Completed"}) == count
	return count / statistics.median(took)


def main(site: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	frappe.set_user("Administrator")
	try:
		results = {
			"one drain, trivial handler": rate(COUNT, lambda: prepare("nothing", COUNT), in_process),
			"the same, 100 ordering keys": rate(
				COUNT, lambda: prepare("nothing", COUNT, keys=100), in_process
			),
			"the same, one ordering key": rate(COUNT, lambda: prepare("nothing", COUNT, keys=1), in_process),
			"one drain, one statement an event": rate(COUNT, lambda: prepare("write", COUNT), in_process),
			ONE_JOB: rate(FEW, lambda: prepare("nothing", FEW), one_job_an_event),
		}
	finally:
		clear()
	least = results[ONE_JOB]
	say(
		[Figure(name, value, "events/s") for name, value in results.items()]
		+ [
			Figure(f"{name} / one job an event", value / least, "×")
			for name, value in results.items()
			if value != least
		]
	)


if __name__ == "__main__":
	main(sys.argv[1])
