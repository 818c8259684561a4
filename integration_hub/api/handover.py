"""Handing work to a background worker, once, and saying what may keep it from being done."""

import frappe
from frappe import _
from frappe.model.document import Document
from redis.exceptions import RedisError

from integration_hub.integration_hub import worker_checks
from integration_hub.integration_hub.messages import refuse
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.jobs import enqueue_once
from integration_hub.runtime.frappe.runtime import SYNC_SECONDS
from integration_hub.stores.runtime import HubError
from integration_hub.sync.run import ready


def runnable(stream: str, out_of_turn: bool = False, off: bool = False) -> Document:
	"""Return a stream that the user may run and that can run; say what is in the way before anything is handed over.

	out_of_turn: what is asked for is not the stream's own turn, and would be refused while it runs. off: it may be switched off.
	"""
	doc = frappe.get_doc("Sync Settings", stream)
	doc.check_permission("write")
	if out_of_turn and doc.status == "Running":
		frappe.throw(_("{0} is running. Wait for the end of the run.").format(stream))
	try:
		ready(FrappeRuntime(), stream, include_disabled=off)
	except HubError as error:
		refuse(error)
	return doc


def hand_over(job: str, **arguments: str) -> list[str]:
	"""Give a long job to a worker, once; return what may keep it from being done."""
	arguments |= {"queue": "long", "timeout": SYNC_SECONDS}
	try:
		enqueue_once(job, triggered_by=f"Person {frappe.session.user}", **arguments)
	except RedisError:
		frappe.throw(_("The job queue (Redis) does not answer, so no job can be started."))
	return worker_checks.warnings()
