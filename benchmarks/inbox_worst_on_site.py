"""Sweeping and claiming where very many events wait, on a real site; see inbox_worst.

From the bench's sites folder: ../env/bin/python -m benchmarks.inbox_worst_on_site SITE  (this checkout on PYTHONPATH).
It empties the inbox of the site, and makes an integration of its own.
"""

from __future__ import annotations

import sys

import frappe

from benchmarks.figures import say
from benchmarks.inbox_worst import NAME, run
from integration_hub.runtime.frappe import FrappeRuntime


class Runtime(FrappeRuntime):
	"""A site whose workers rest meanwhile."""

	def enqueue_drain(self, integration: str, number: int = 0) -> None:
		"""Nobody is woken."""


def clear() -> None:
	frappe.db.truncate("Webhook Log")
	frappe.db.commit()


def main(site: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	frappe.set_user("Administrator")
	doc = {"doctype": "Integration Settings", "integration_name": NAME, "base_url": "https://example.com"}
	if not frappe.db.exists("Integration Settings", NAME):
		frappe.get_doc(doc).insert()
	frappe.db.commit()
	try:
		say(run(Runtime(), clear))
	finally:
		clear()
		frappe.delete_doc("Integration Settings", NAME, ignore_missing=True, force=True)
		frappe.db.commit()


if __name__ == "__main__":
	main(sys.argv[1])
