"""Whitelisted methods of deletions that wait for a person."""

import frappe
from frappe import _

from integration_hub.api.handover import hand_over, runnable
from integration_hub.integration_hub import operator_actions, run_as, stream_status
from integration_hub.integration_hub.messages import refuse
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores.runtime import HubError
from integration_hub.sync.run import ask_again, refuse_deletions


@frappe.whitelist(methods=["POST"])
def approve_deletions(sync_log: str) -> list[str]:
	"""Have a worker remove the documents a full run held back; return what may keep it from being done."""
	log = frappe.get_doc("Sync Log", sync_log)
	log.check_permission("read")
	stream = runnable(log.stream, out_of_turn=True)
	if log.status != "Needs Approval":
		frappe.throw(_("{0} has no deletions waiting for approval.").format(sync_log))
	run_as.check("Decide", stream.integration)  # the limits that held them back are no less
	return hand_over(
		"integration_hub.jobs.approve_deletions",
		job_id=f"integration_hub:approve:{sync_log}",
		sync_log=sync_log,
	)


@frappe.whitelist(methods=["POST"])
def keep_deletions(sync_log: str) -> int:
	"""Keep the documents a full run held back, and ask about them no more; return how many."""
	log = frappe.get_doc("Sync Log", sync_log)
	log.check_permission("read")
	doc = frappe.get_doc("Sync Settings", log.stream)
	doc.check_permission("write")
	try:
		return refuse_deletions(FrappeRuntime(), sync_log, frappe.session.user)
	except HubError as error:
		refuse(error)


@frappe.whitelist(methods=["POST"])
def ask_about_kept(stream: str) -> int:
	"""Have the next run ask again about documents whose removal was refused; return how many."""
	doc = frappe.get_doc("Sync Settings", stream)
	doc.check_permission("write")
	return ask_again(FrappeRuntime(), stream)


@frappe.whitelist(methods=["GET"])
def held_documents(sync_log: str, start: int = 0) -> dict:
	"""Return the documents that a run would have removed, a hundred at a time; see operator_actions.held_documents."""
	return operator_actions.held_documents(sync_log, start)


@frappe.whitelist(methods=["GET"])
def held_deletions(stream: str) -> dict:
	"""Return the documents whose removal waits for approval; see stream_status.deletions."""
	doc = frappe.get_doc("Sync Settings", stream)
	doc.check_permission("write")
	frappe.has_permission(doc.target_doctype, "read", throw=True)
	try:
		return stream_status.deletions(stream)
	except HubError as error:
		refuse(error)
