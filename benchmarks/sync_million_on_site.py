"""Writing a million records that are made as they are written, on a real site: once each, with the memory it takes.

From the bench's sites folder: ../env/bin/python -m benchmarks.sync_million_on_site SITE  (this checkout on PYTHONPATH).
It makes and drops a DocType of its own.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import frappe

from benchmarks.figures import Figure, say, size
from benchmarks.sync_on_site import (
	DOCTYPE,
	bulk_stream,
	empty,
	make_doctype,
	raw,
	records,
	remove_doctype,
	write,
)
from integration_hub.runtime.frappe import FrappeRuntime

COUNT, PART = size(1_000_000, quick=10_000), size(10_000, quick=2000)


def peak() -> float:
	"""Return the most memory this process has had, in MB."""
	return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_parts(work: Callable[[list[dict]], None], changed: float = 0.0) -> float:
	"""Hand all records to work, a part at a time; return records a second of the work alone."""
	seconds = 0.0
	for start in range(0, COUNT, PART):
		rows = records(changed, start, start + PART)
		started = time.perf_counter()
		work(rows)
		seconds += time.perf_counter() - started
	return COUNT / seconds


def main(site: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	frappe.set_user("Administrator")
	make_doctype()
	runtime, stream = FrappeRuntime(), bulk_stream()
	empty()
	limit = in_parts(raw)
	empty()
	write(runtime, stream, records(stop=PART))
	small = peak()
	empty()
	rates = {
		"Bulk, first load": in_parts(lambda rows: write(runtime, stream, rows)),
		"Bulk, nothing changed": in_parts(lambda rows: write(runtime, stream, rows)),
		"Bulk, 10% changed": in_parts(lambda rows: write(runtime, stream, rows), changed=0.1),
	}
	assert frappe.db.count(DOCTYPE) == COUNT
	figures = [Figure("raw driver, target rows alone", limit, "records/s")]
	figures += [Figure(name, rate, "records/s") for name, rate in rates.items()]
	figures.append(Figure("Bulk / raw, first load", rates["Bulk, first load"] / limit, "×"))
	figures.append(Figure(f"peak memory after {PART:,} records", small, "MB", "lower"))
	figures.append(Figure(f"peak memory after {COUNT:,} records, three times", peak(), "MB", "lower"))
	say(figures)
	remove_doctype()


if __name__ == "__main__":
	main(sys.argv[1])
