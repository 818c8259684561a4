"""The cost of the outbox to a user's save, paired in one run on a real site: without our hooks, with no outbound stream for
the DocType, and with one.

From the bench's sites folder: ../env/bin/python -m benchmarks.outbound_save_on_site SITE  (this checkout on PYTHONPATH).
It saves ToDos, makes an integration and a stream of its own, and takes them away; nothing is sent. The three ways
take turns, save by save, so that what else the machine does meets them alike; the figures are medians of differences.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import frappe

from benchmarks.figures import Figure, say, size
from integration_hub.runtime.frappe import outbox, outbox_rows
from integration_hub.runtime.frappe.outbox_rows import forget_watched

NAME = "benchmark-outbound"
ROUNDS = size(1000, 10)


def prepare() -> None:
	"""Make an integration of its own."""
	clear()
	frappe.get_doc(
		{
			"doctype": "Integration Settings",
			"integration_name": NAME,
			"base_url": "http://127.0.0.1:9",
			"enabled": 1,
		}
	).insert()
	frappe.db.commit()


def stream(enabled: bool) -> None:
	"""Have a stream send ToDos, or none."""
	frappe.db.delete("Sync Settings", {"name": NAME})
	frappe.db.delete("Sync Field Mapping", {"parent": NAME})
	if enabled:
		values = {
			"stream_name": NAME,
			"integration": NAME,
			"direction": "Out",
			"enabled": 1,
			"endpoint": "/todos",
		}
		rows = [{"source_path": "text", "field": "description"}]
		frappe.get_doc(
			{"doctype": "Sync Settings", "target_doctype": "ToDo", "mapping": rows, **values}
		).insert()
	frappe.db.commit()
	forget_watched()


def clear() -> None:
	"""Take all away that the benchmark has made."""
	for doctype in ("Outbound Change", "Delivery Log"):
		frappe.db.delete(doctype)
	frappe.db.delete("ToDo", {"description": ["like", "benchmark%"]})
	frappe.db.delete("Sync Settings", {"name": NAME})
	frappe.db.delete("Sync Field Mapping", {"parent": NAME})
	frappe.db.delete("Integration Settings", {"name": NAME})
	frappe.db.commit()
	forget_watched()


@contextmanager
def without_hooks() -> Iterator[None]:
	"""Have Frappe call none of our hooks for a block."""
	path = outbox.__name__ + "."
	hooks = frappe.get_doc_hooks()
	kept = {event: list(paths) for event, paths in hooks["*"].items()}
	for event, paths in kept.items():
		hooks["*"][event] = [one for one in paths if not one.startswith(path)]
	try:
		yield
	finally:
		hooks["*"].update(kept)


def save(doc: frappe.model.document.Document) -> float:
	"""Return the milliseconds that a save takes; its commit, which waits for the disk, comes after."""
	doc.description = f"benchmark {time.perf_counter()}"
	began = time.perf_counter()
	doc.save()
	took = (time.perf_counter() - began) * 1000
	frappe.db.commit()
	return took


class Mode:
	"""One of the three ways, with what its process knows of streams: it is asked of the database each second, as ever."""

	def __init__(self, name: str) -> None:
		self.name, self.known, self.took = name, {}, []

	def save(self, doc: frappe.model.document.Document) -> None:
		"""Save a document in this way, and note how long that took."""
		find = outbox_rows._find
		found = patch.object(outbox_rows, "_find", lambda: find() if self.name == "one" else (find(), {})[1])
		hooks = without_hooks() if self.name == "bare" else nullcontext()
		with patch.object(outbox_rows, "_known", self.known), found, hooks:
			self.took.append(save(doc))


def hook_alone(doc: frappe.model.document.Document, watched: dict) -> float:
	"""Return the microseconds that the hook itself takes, which the noise of whole saves may hide."""
	took = []
	with patch.object(outbox_rows, "_known", {frappe.local.site: (time.monotonic() + 600, watched)}):
		for _number in range(ROUNDS):
			began = time.perf_counter()
			outbox.on_change(doc)
			took.append((time.perf_counter() - began) * 1e6)
	frappe.db.rollback()
	return statistics.median(took)


def measure() -> None:
	"""Measure on the connected site, and print the figures: each round saves once in each way, in another order."""
	frappe.set_user("Administrator")
	prepare()
	stream(True)
	doc = frappe.get_doc({"doctype": "ToDo", "description": "benchmark"}).insert()
	modes = [Mode("bare"), Mode("none"), Mode("one")]
	with patch(
		"integration_hub.runtime.frappe.outbox.FrappeRuntime.enqueue_dispatch"
	):  # Redis, after the commit
		for _number in range(ROUNDS):
			for mode in random.sample(modes, len(modes)):
				mode.save(doc)
	of_hook = [hook_alone(doc, known) for known in ({}, outbox_rows._find())]
	clear()
	bare, none, one = (mode.took[ROUNDS // 10 :] for mode in modes)
	base = statistics.median(bare)
	more = [
		statistics.median(b - a for a, b in zip(bare, way, strict=True)) / base * 100 for way in (none, one)
	]
	say(
		[
			Figure("a save without the hooks", base, "ms", "neither"),
			Figure("with them, no outbound stream for its DocType", more[0], "% more", "lower"),
			Figure("with one outbound stream for it", more[1], "% more", "lower"),
			Figure("the hook alone, no outbound stream for its DocType", of_hook[0], "µs", "lower"),
			Figure("the hook alone, with one outbound stream for it", of_hook[1], "µs", "lower"),
		]
	)


if __name__ == "__main__":
	frappe.init(site=sys.argv[1])
	frappe.connect()
	measure()
