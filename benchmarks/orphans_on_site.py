"""Finding and removing what is gone, among 20,000 and 200,000 bound rows, on a real site.

From the bench's sites folder: ../env/bin/python -m benchmarks.orphans_on_site SITE  (this checkout on PYTHONPATH).
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace

import frappe

from benchmarks.figures import ROUNDS, Figure, say, size
from benchmarks.sync_on_site import (
	DOCTYPE,
	NUMBERS,
	STREAM,
	bulk_stream,
	empty,
	make_doctype,
	pages,
	records,
	remove_doctype,
)
from integration_hub.connectors.redact import Redactor
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores import bindings
from integration_hub.stores.database import in_transaction, insert
from integration_hub.stores.ids import new_id
from integration_hub.stores.runs import Run
from integration_hub.stores.seen_marks import Mark
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.deletion import remove_orphans
from integration_hub.sync.page_writer import PageWriter

COUNTS = (size(20_000, quick=3000), size(200_000, quick=6000))
GONE = size(2000, quick=500)


def load(runtime: FrappeRuntime, stream: StreamConfig, rows: list[dict]) -> Mark:
	"""Write rows on behalf of a run; return the run's mark."""
	writer = PageWriter(
		runtime, stream, Redactor(), mark=Mark(new_id(), next(NUMBERS)), operation="Benchmark"
	)
	for page in pages(rows):
		in_transaction(runtime.db, lambda page=page: writer.write(page))
	return writer.mark


def measure(runtime: FrappeRuntime, count: int) -> list[Figure]:
	stream = replace(bulk_stream(), deletion_policy="Delete", max_delete_count=count)
	empty()
	rows = records(stop=count)
	load(runtime, stream, rows)
	found, removed = zip(*(one_round(runtime, stream, rows) for _ in range(ROUNDS)), strict=True)
	at = f"{GONE:,} orphans among {count:,} rows"
	return [
		Figure(f"{at}, found", statistics.median(found) * 1000, "ms", "lower"),
		Figure(f"{at}, removed", statistics.median(removed) * 1000, "ms", "lower"),
	]


def one_round(runtime: FrappeRuntime, stream: StreamConfig, rows: list[dict]) -> tuple[float, float]:
	"""Let the first rows be gone; return the seconds it takes to find and to remove them. They are back after it."""
	run = Run(new_id(), load(runtime, stream, rows[GONE:]), STREAM, "", "Full")
	in_transaction(
		runtime.db, lambda: insert(runtime.db, "Sync Log", {"name": run.name, "status": "Running"})
	)
	started = time.perf_counter()
	assert bindings.count_live(runtime.db, STREAM, run.mark.number) == GONE
	found = time.perf_counter() - started
	started = time.perf_counter()
	remove_orphans(runtime, stream, run, Redactor())
	removed = time.perf_counter() - started
	assert frappe.db.count(DOCTYPE) == len(rows) - GONE
	frappe.db.delete("Sync Log", {"name": run.name})
	frappe.db.commit()
	load(runtime, stream, rows[:GONE])
	return found, removed


def main(site: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	frappe.set_user("Administrator")
	make_doctype()
	figures = [figure for count in COUNTS for figure in measure(FrappeRuntime(), count)]
	remove_doctype()
	say(figures)


if __name__ == "__main__":
	main(sys.argv[1])
