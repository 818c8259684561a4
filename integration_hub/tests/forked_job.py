"""A job that tests run in a worker's process."""

import sys

import frappe


def note_what_is_loaded() -> None:
	"""Tell whether the app's jobs were imported before this one was forked."""
	frappe.cache.set_value("hub_test_loaded", "integration_hub.jobs" in sys.modules)
