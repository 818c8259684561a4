"""Doing something on a database connection of its own, beside the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import frappe

T = TypeVar("T")


def autonomous_transaction(work: Callable[[], T]) -> T:
	"""Call `work` with a fresh connection to the same site, in a thread: frappe.local is the thread's own."""
	site, sites_path = frappe.local.site, frappe.local.sites_path

	def connected() -> T:
		frappe.init(site=site, sites_path=sites_path)
		try:
			frappe.connect()
			return work()
		finally:
			frappe.destroy()

	with ThreadPoolExecutor(1) as pool:
		return pool.submit(connected).result()
