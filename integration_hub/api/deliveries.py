"""Whitelisted methods of deliveries and of streams that send: replay, approval, dry runs, Send What Is There."""

from dataclasses import asdict

import frappe
from frappe import _

from integration_hub.api.handover import hand_over
from integration_hub.integration_hub import operator_actions, run_as
from integration_hub.integration_hub.field_permissions import ViewerRuntime
from integration_hub.integration_hub.messages import refuse
from integration_hub.outbound import scan
from integration_hub.outbound.preview import preview_delivery as look
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores import deliveries
from integration_hub.stores.runtime import HubError


@frappe.whitelist(methods=["POST"])
def replay_deliveries(names: str | list) -> int:
	"""Have deliveries sent again, from their first attempt; return how many."""
	return _again(_mine(names))


@frappe.whitelist(methods=["POST"])
def approve_deliveries(names: str | list) -> int:
	"""Have deletions made that wait for approval; return how many."""
	rows = _mine(names)
	for integration in {row.integration for row in rows}:
		run_as.check("Decide", integration)
	return _again(rows, approved=True)


def _mine(names: str | list) -> list:
	return operator_actions.actionable("Delivery Log", operator_actions.names_of(names))


def _again(rows: list, approved: bool = False) -> int:
	runtime = FrappeRuntime()
	count = deliveries.requeue(runtime, [row.name for row in rows], approved)
	for integration in {row.integration for row in rows}:
		runtime.enqueue_dispatch(integration)
	return count


@frappe.whitelist(methods=["POST"])
def preview_delivery(name: str) -> dict:
	"""Return what would be sent now, beside what was sent last; sends nothing."""
	[row] = operator_actions.actionable("Delivery Log", [name], "reference_doctype", "document")
	frappe.has_permission(row.reference_doctype, "read", row.document, throw=True)
	try:
		return look(ViewerRuntime(), name).as_dict()
	except HubError as error:
		refuse(error, _("It cannot be tried out"))


@frappe.whitelist(methods=["POST"])
def plan_sending(stream: str) -> dict:
	"""Return what *Send What Is There* would create, update, delete and skip, and why; sends nothing."""
	doc = _sendable(stream)
	frappe.has_permission(doc.target_doctype, "read", throw=True)
	try:
		return asdict(scan.plan(ViewerRuntime(), stream))
	except HubError as error:
		refuse(error, _("It cannot be tried out"))


@frappe.whitelist(methods=["POST"])
def send_what_is_there(stream: str) -> list[str]:
	"""Have a worker send all documents of a stream that the system does not have as they are; return warnings."""
	doc = _sendable(stream)
	run_as.check("Run", doc.integration)
	job = f"integration_hub:send_all:{stream}"
	return hand_over("integration_hub.jobs.send_what_is_there", job_id=job, stream=stream)


def _sendable(stream: str) -> frappe.model.document.Document:
	doc = frappe.get_doc("Sync Settings", stream)
	doc.check_permission("write")
	if doc.direction != "Out":
		frappe.throw(_("{0} is not a stream of direction Out.").format(frappe.bold(stream)))
	return doc
