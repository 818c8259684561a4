"""Whitelisted methods of charts and log lists."""

import frappe

from integration_hub.integration_hub import charts


@frappe.whitelist(methods=["GET", "POST"])
def events_a_day(**kwargs) -> dict:
	"""Return the data of a chart; see charts.events_a_day. What the chart widget sends along is not used."""
	return charts.events_a_day()


@frappe.whitelist(methods=["GET", "POST"])
def records_a_day(**kwargs) -> dict:
	"""Return the data of a chart; see charts.records_a_day."""
	return charts.records_a_day()


@frappe.whitelist(methods=["GET"])
def log_days(doctype: str) -> int:
	"""Return how many days Log Settings keep a log that the user may read; 0 where they do not name it."""
	frappe.has_permission(doctype, "read", throw=True)
	filters = {"parent": "Log Settings", "ref_doctype": doctype}
	return frappe.db.get_value("Logs To Clear", filters, "days") or 0
