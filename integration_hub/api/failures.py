"""Whitelisted methods of failures and failed records."""

import frappe

from integration_hub.api.handover import hand_over
from integration_hub.integration_hub import bulk, operator_actions
from integration_hub.stores.ids import key


@frappe.whitelist(methods=["POST"])
def resolve_failures(names: str | list) -> int:
	"""Mark failures as resolved; one opens again if it happens again. Return how many."""
	return operator_actions.set_status(names, "Resolved")


@frappe.whitelist(methods=["POST"])
def reopen_failures(names: str | list) -> int:
	"""Mark failures as open again; return how many."""
	return operator_actions.set_status(names, "Open")


@frappe.whitelist(methods=["POST"])
def retry_failures(names: str | list) -> dict:
	"""Have done again what failed; see operator_actions.retry."""
	return operator_actions.retry(names)


@frappe.whitelist(methods=["POST"])
def retry_record(name: str) -> dict:
	"""Run the stream of a record that could not be written; see operator_actions.retry_record."""
	return operator_actions.retry_record(name)


@frappe.whitelist(methods=["GET"])
def count_to_retry(doctype: str, filters: str | list) -> int:
	"""Return how many rows of a list, by its filters, can be tried again; see bulk.count."""
	return bulk.count(doctype, filters)


@frappe.whitelist(methods=["POST"])
def retry_matching(doctype: str, filters: str | list) -> list[str]:
	"""Have a worker try again what a list's filters find; return what may keep it from being done."""
	frappe.has_permission("Integration Settings", "write", throw=True)
	arguments = {"doctype": doctype, "filters": frappe.as_json(bulk.matching(doctype, filters))}
	return hand_over(
		"integration_hub.jobs.retry_matching",
		job_id=f"integration_hub:retry:{frappe.session.user}:{key(*arguments.values())}",
		**arguments,
	)


@frappe.whitelist(methods=["POST"])
def retry_records(names: str | list) -> list[str]:
	"""Have a worker try records again that could not be written; return what may keep it from being done."""
	given = operator_actions.names_of(names)
	return retry_matching("External Record", [["External Record", "name", "in", given]])
