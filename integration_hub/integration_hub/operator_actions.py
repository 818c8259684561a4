"""Actions of an operator on events and failures: who may take them, and what they start.

Names come from a list view or a form. One query finds what the user may read of them, and the settings of each
integration are looked at once, however many names there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import frappe
from frappe import _
from frappe.utils import escape_html
from redis.exceptions import RedisError

from integration_hub.integration_hub import run_as, worker_checks
from integration_hub.integration_hub.field_permissions import ViewerRuntime, readable_changes, readable_fields
from integration_hub.integration_hub.messages import MESSAGES, refuse
from integration_hub.runtime.failure_retries import Retry, retry_of
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.jobs import enqueue_once
from integration_hub.runtime.frappe.runtime import SYNC_SECONDS
from integration_hub.stores import failures
from integration_hub.stores.bindings import make_due, name_range
from integration_hub.stores.database import in_transaction
from integration_hub.stores.runtime import HubError
from integration_hub.sync.run import ready
from integration_hub.sync.schedule import want
from integration_hub.webhooks import replay

MOST_PREVIEWED = 20
_ERROR_LOG = "Integration Error Log"
_TRIED_BY = ("operation", "kind", "stream", "about", "sync_log")  # what says how a failure is tried again


def names_of(names_or_json: str | list) -> list[str]:
	"""Return the names that a request carries, as a list or its JSON."""
	names = frappe.parse_json(names_or_json) if isinstance(names_or_json, str) else names_or_json
	if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
		frappe.throw(_("Expected a list of names."))
	return list(dict.fromkeys(names))


def actionable(doctype: str, names: list[str], *fields: str) -> list[Any]:
	"""Return the rows of a log that the user may act on, in the order of `names`.

	To act on a log is to change what its integration does: it takes the right to write the Integration Settings.
	Raises PermissionError if one may not, or if there is no such row.
	"""
	if not names:
		return []
	found = frappe.get_list(
		doctype, filters={"name": ["in", names]}, fields=["name", "integration", *fields], limit_page_length=0
	)
	rows = {row.name: row for row in found}
	if missing := [name for name in names if name not in rows]:
		text = _("{0} {1} does not exist, or you may not read it.").format(
			_(doctype), escape_html(missing[0])
		)
		frappe.throw(text, frappe.PermissionError)
	check_integrations(row.integration for row in found)
	return [rows[name] for name in names]


def check_integrations(names: Iterable[str | None]) -> None:
	"""Raise PermissionError unless the user may write the settings of each of these integrations."""
	for name in set(names):
		run_as.check("Run", name)


def replayable(names_or_json: str | list) -> list[str]:
	"""Return the names of events that the user may have handled again."""
	return [row.name for row in actionable("Webhook Log", names_of(names_or_json))]


def handle_conflict(name: str) -> int:
	"""Have an event that is in conflict with another one handled as one of its own; return how many there were: 0 or 1."""
	[row] = actionable("Webhook Log", [name], "status")
	if row.status != "Conflict":
		frappe.throw(_("{0} is not in conflict.").format(row.name))
	count = replay.replay(FrappeRuntime(), [row.name], conflicts=True)
	if count:
		log = frappe.get_doc("Webhook Log", row.name)
		log.add_comment("Info", _("handled this event, which was in conflict, as a new event"))
	return count


def effects(names_or_json: str | list) -> list[dict]:
	"""Return what handling events again would change, with the labels of the fields; see webhooks.replay.Effect."""
	names = replayable(names_or_json)
	if len(names) > MOST_PREVIEWED:
		frappe.throw(_("Choose at most {0} events.").format(MOST_PREVIEWED))
	try:
		return [_shown(effect) for effect in list(replay.preview(ViewerRuntime(acts=True), names))]
	except HubError as error:
		refuse(error)


def _shown(effect: replay.Effect) -> dict:
	"""Return an effect as far as the user may see it: it shows what stands in a document."""
	shown: dict[str, Any] = {**vars(effect), "labels": {}}
	if effect.does in MESSAGES:
		shown["does"] = _(effect.does)
	if effect.doctype:
		frappe.has_permission(effect.doctype, "read", effect.document or None, throw=True)
		meta, readable = frappe.get_meta(effect.doctype), readable_fields(effect.doctype)
		shown["changes"] = readable_changes(effect.doctype, effect.changes, readable)
		shown["labels"] = {field: _(meta.get_label(field)) for field in shown["changes"]}
	return shown


def set_status(names_or_json: str | list, status: str) -> int:
	"""Mark failures as Resolved, or as Open again; return how many."""
	rows = actionable(_ERROR_LOG, names_of(names_or_json))
	in_transaction(
		FrappeRuntime().db, lambda: failures.mark(FrappeRuntime(), [row.name for row in rows], status)
	)
	return len(rows)


def retry(names_or_json: str | list) -> dict:
	"""Have done again what failed; return {"events": how many, "streams": names, "records": streams of which records
	are tried again, "nothing": names of failures, "warnings": what may keep it from being done}.

	See runtime.failure_retries.retry_of.
	"""
	runtime, events, streams, records, nothing = FrappeRuntime(), [], [], [], []
	for error in actionable(_ERROR_LOG, names_of(names_or_json), *_TRIED_BY):
		again = retry_of(runtime, error, _failing_streams, _may_run)
		events += again.events
		streams += again.streams
		if again.records:
			_retry_records(error)
			records.append(again.records)
		if again == Retry():
			nothing.append(error.name)
	streams = list(dict.fromkeys(streams))
	for stream in streams:
		run(runtime, stream)
	queues = ("default",) * bool(events) + ("long",) * bool(streams or records)
	return {
		"events": replay.replay(runtime, events),
		"streams": streams,
		"records": list(dict.fromkeys(records)),
		"nothing": nothing,
		"warnings": worker_checks.warnings(*queues) if queues else [],
	}


def _failing_streams(integration: str | None) -> list[str]:
	"""Return the streams of an integration that fail, and that the user may run."""
	filters = {"integration": integration, "status": "Failing", "enabled": 1}
	found = frappe.get_list("Sync Settings", filters=filters, pluck="name", limit_page_length=0)
	return [name for name in found if frappe.has_permission("Sync Settings", "write", name)]


def _retry_records(error: Any) -> None:
	"""Hand to a worker all records that a failure keeps back."""
	enqueue_once(
		"integration_hub.jobs.retry_records",
		queue="long",
		timeout=SYNC_SECONDS,
		job_id=f"integration_hub:retry:{error.name}",
		stream=error.stream,
		error_log=error.name,
		triggered_by=f"Person {frappe.session.user}",
	)


def runnable(stream: str) -> None:
	"""Raise HubError where a stream cannot run, and PermissionError where the user may not run it."""
	frappe.has_permission("Sync Settings", "write", stream, throw=True)
	ready(FrappeRuntime(), stream)


def _may_run(stream: str) -> bool:
	"""Tell whether a stream can be run; raises PermissionError if the user may not."""
	enabled = frappe.db.get_value("Sync Settings", stream, "enabled")
	if enabled is not None:
		frappe.has_permission("Sync Settings", "write", stream, throw=True)
	return bool(enabled)


def run(runtime: FrappeRuntime, stream: str) -> None:
	"""Hand a stream to a worker; it runs once more if it is running now."""
	in_transaction(runtime.db, lambda: want(runtime, stream))
	with suppress(RedisError):  # the next tick takes it up
		runtime.enqueue_sync(stream, f"Person {frappe.session.user}")


def retry_record(name: str) -> dict:
	"""Run the stream of a record that could not be written; return {"stream": its name, "warnings": texts}."""
	record = frappe.get_doc("External Record", name)
	record.check_permission("read")
	if not _may_run(record.stream):
		frappe.throw(_("{0} is disabled.").format(record.stream))
	if record.status not in ("Failed", "Dead", "Unidentified"):
		frappe.throw(_("{0} has not failed.").format(escape_html(record.external_id)))
	runtime = FrappeRuntime()
	in_transaction(runtime.db, lambda: make_due(runtime, record.stream, [record.name]))
	run(runtime, record.stream)
	return {"stream": record.stream, "warnings": worker_checks.warnings()}


def held_documents(sync_log: str, start: int = 0, size: int = 100) -> dict:
	"""Return the documents whose removal a run holds back: {"total", "go", "documents", "policy"}.

	go: how many of them are deleted or disabled; the others stay as they are.
	"""
	log = frappe.get_doc("Sync Log", sync_log)
	log.check_permission("read")
	first, end = name_range(log.stream)
	filters = [
		["name", ">=", first],
		["name", "<", end],
		["stream", "=", log.stream],
		["missing_run", "=", log.name],
		["status", "!=", "Deleted"],
	]
	fields = ["name", "external_id", "target_doctype", "target_name", "adopted", "source_time"]
	page = {"limit_start": int(start), "limit_page_length": int(size), "order_by": "name"}
	policy = frappe.db.get_value("Sync Settings", log.stream, "deletion_policy")
	return {
		"total": frappe.db.count("External Record", filters),
		"go": _count_going(filters, policy),
		"documents": _titled(frappe.get_list("External Record", filters=filters, fields=fields, **page)),
		"policy": policy,
	}


def _titled(rows: list[Any]) -> list[Any]:
	"""Give the rows of held documents the titles of those that the user may read."""
	doctype = next((row.target_doctype for row in rows), None)
	field = doctype and frappe.get_meta(doctype).title_field
	if not (field and frappe.has_permission(doctype, "read") and field in readable_fields(doctype)):
		return rows
	names = [row.target_name for row in rows if row.target_name]
	filters, fields = {"name": ["in", names]}, ["name", field]
	found = frappe.get_list(doctype, filters=filters, fields=list(dict.fromkeys(fields)), limit_page_length=0)
	titles = {row.name: row[field] for row in found}
	for row in rows:
		row.title = titles.get(row.target_name)
	return rows


def _count_going(filters: list[list[Any]], policy: str | None) -> int:
	"""Count the documents that an approval deletes, cancels or disables; see sync.deletion.remove_documents."""
	if policy not in ("Delete", "Cancel", "Disable"):
		return 0
	own = [] if policy == "Disable" else [["adopted", "=", 0]]
	return frappe.db.count("External Record", [*filters, ["target_name", "is", "set"], *own])
