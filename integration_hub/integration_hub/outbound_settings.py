"""The settings of a stream of the direction Out, checked on saving."""

from __future__ import annotations

from collections.abc import Sequence

import frappe
from frappe.model.document import Document

from integration_hub.install import MODULE
from integration_hub.integration_hub import run_as
from integration_hub.integration_hub.settings import refuse
from integration_hub.outbound.checks import CheckContext, number_problems, outbound_problems
from integration_hub.outbound.config import OutboundStream
from integration_hub.outbound.fields_read import fields_read
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.jobs import enqueue_once
from integration_hub.runtime.frappe.write_permissions import level_sentence, refused_levels
from integration_hub.stores import deliveries
from integration_hub.stores.fields import Fields
from integration_hub.stores.runtime import HubError

_STATE = ("enabled", "modified", "modified_by", "scan_state")


def validate_outbound(doc: Document) -> None:
	"""Refuse settings that could send nothing, or what their author may not read."""
	runtime = FrappeRuntime()
	try:
		stream = OutboundStream.from_row(
			{**doc.as_dict(), "name": doc.stream_name}, [row.as_dict() for row in doc.mapping]
		)
		fields = runtime.target(stream.target_doctype, "Documents").fields()
	except HubError as error:
		refuse(doc, "target_doctype", error.message)
	except ValueError as error:
		refuse(doc, "", str(error))
	known = CheckContext(
		runtime.transforms(), lambda name: bool(frappe.db.exists("Sync Settings", name)), runtime.zone
	)
	for field, sentence in (*number_problems(doc.as_dict()), *outbound_problems(stream, fields, known)):
		refuse(doc, field, sentence)
	_check_source(doc, stream, fields)
	run_as.check_stream(doc)


def _check_source(doc: Document, stream: OutboundStream, fields: Fields) -> None:
	"""Refuse what the author, or who the integration runs as, may not read, or write back; and the hub's own DocTypes."""
	doctype = stream.target_doctype
	if frappe.get_meta(doctype).module == MODULE:
		refuse(doc, "target_doctype", f"{doctype} is not sent this way")
	runs_as = frappe.db.get_value("Integration Settings", doc.integration, "run_as_user") or "Administrator"
	for user in dict.fromkeys((frappe.session.user, runs_as)):
		_check_user(doc, "target_doctype", "mapping", user, "read", fields_read(stream, fields))
		if stream.written_back:
			_check_user(doc, "write_back", "write_back", user, "write", tuple(stream.written_back))


def _check_user(doc: Document, place: str, level_at: str, user: str, kind: str, paths: Sequence[str]) -> None:
	doctype = doc.target_doctype
	if not frappe.has_permission(doctype, kind, user=user):
		refuse(doc, place, f"{user} may not {kind} {doctype}")
	for path, level in refused_levels(doctype, paths, user, kind):
		refuse(doc, level_at, level_sentence(doctype, path, level, user, kind))


def send_refused_again(doc: Document) -> None:
	"""Have what the system has refused sent again where other settings may make another request of it; make the index
	of the scan where the DocType is another one."""
	before = doc.get_doc_before_save()
	if not before or before.target_doctype != doc.target_doctype:
		job = f"integration_hub:index:{doc.target_doctype}"
		enqueue_once(
			"integration_hub.jobs.index_modified", job_id=job, doctype=doc.target_doctype, queue="long"
		)
	if not before or not doc.enabled or not _differs(doc, before):
		return
	runtime = FrappeRuntime()
	names = deliveries.select(runtime, stream=doc.name, statuses=["Rejected"])
	deliveries.requeue_within(runtime, names)


def _differs(doc: Document, before: Document) -> bool:
	names = [
		field.fieldname
		for field in doc.meta.fields
		if field.fieldname not in _STATE and field.fieldtype != "Table"
	]
	rows = ("source_path", "field", "conversion", "argument", "default_value", "required")
	told = [[[row.get(name) for name in rows] for row in one.mapping] for one in (doc, before)]
	return told[0] != told[1] or any((doc.get(name) or "") != (before.get(name) or "") for name in names)
