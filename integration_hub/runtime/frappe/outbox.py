"""Noting changes of documents in the outbox, in the transaction that makes them: what Frappe calls on each save of a site.

Most saves are of DocTypes that no stream sends: they cost the look into a set. No save waits for the network, and none
fails because of what is done here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import frappe
from frappe.model.document import Document

from integration_hub.connectors.app_code import attempt
from integration_hub.outbound.config import OutboundStream
from integration_hub.outbound.rendering import Renderer
from integration_hub.runtime.frappe.outbox_rows import Watched, append, guarded, watched
from integration_hub.runtime.frappe.plain_documents import plain_document
from integration_hub.runtime.frappe.renamed_documents import follow_name
from integration_hub.runtime.frappe.runtime import FrappeRuntime
from integration_hub.stores import outbox
from integration_hub.stores.bindings import DOCTYPE as RECORDS
from integration_hub.terminal_text import logger_of

logger = logger_of("integration_hub.outbound")

_ACTIONS = {"submit": "submitted", "cancel": "cancelled", "update_after_submit": "updated_after_submit"}
_BY_DOCSTATUS = ("updated", "updated_after_submit", "cancelled")


def on_change(doc: Document, method: str | None = None) -> None:
	"""Note that a document was made or changed. Called by Frappe on each save, and on each db_set."""
	if doc.flags.in_delete:
		return
	sent = watched()
	if doc.doctype in sent:
		_note(sent[doc.doctype], doc, _operation(doc))
	elif sent and (parent := doc.get("parenttype")) in sent and doc.get("parent"):
		_note_parent(sent[parent], doc)


def after_delete(doc: Document, method: str | None = None) -> None:
	"""Note that a document was deleted."""
	if found := watched().get(doc.doctype):
		_note(found, doc, "deleted")


def before_rename(doc: Document, method: str | None, old: str, new: str, merge: bool = False) -> None:
	"""Note which records are of a document that is about to be merged into another one."""
	found = watched().get(doc.doctype) if merge else None
	if found and found.keeps_records:
		records = frappe.get_all(RECORDS, {"target_doctype": doc.doctype, "target_name": old}, pluck="name")
		if records:
			guarded(lambda: append([outbox.change(doc.doctype, old, "merged", note=json.dumps(records))]))


def after_rename(doc: Document, method: str | None, old: str, new: str, merge: bool = False) -> None:
	"""Have what is kept of a document follow its new name, and note that it has one."""
	follow_name(doc.doctype, old, new)
	if found := watched().get(doc.doctype):
		_note(found, doc, "updated" if merge else "renamed", name=new, note=old)


def _operation(doc: Document) -> str:
	action = _ACTIONS.get(getattr(doc, "_action", "") or "")
	if doc.flags.in_insert:
		return action or ("created", "submitted", "cancelled")[int(doc.docstatus or 0)]
	return action or _BY_DOCSTATUS[int(doc.docstatus or 0)]


def _note_parent(found: Watched, child: Document) -> None:
	"""Note that a row of a child table was changed by itself: it is the parent that is another one."""
	if found.events:
		with attempt(FrappeRuntime().db.is_transient) as reading:
			doc = frappe.get_doc(child.parenttype, child.parent)
		if not reading.error:
			_note(found, doc, "updated")
			return
	_write(found, [outbox.change(child.parenttype, child.parent, "updated")])


def _note(found: Watched, doc: Document, operation: str, name: str = "", note: str = "") -> None:
	rows = []
	if found.keeps_records:
		rows.append(outbox.change(doc.doctype, name or doc.name, operation, note=note))
	for stream in found.events:
		if stream.wants(operation):
			rows += _event(stream, doc, operation, name or doc.name)
	_write(found, rows)


def _write(found: Watched, rows: Sequence[tuple[str | None, ...]]) -> None:
	if rows:
		guarded(lambda: append(rows))
		_wake_after_commit(found.integrations)


def _event(stream: OutboundStream, doc: Document, operation: str, name: str) -> list[tuple[str | None, ...]]:
	"""Return the message of an event with what the document holds now, nothing if it does not fit the filters."""
	payload, error = None, ""
	with attempt(FrappeRuntime().db.is_transient) as making:
		renderer = _renderer(stream)
		document = {**plain_document(doc), "name": name}
		if not renderer.wants(document):
			return []
		payload = json.dumps(renderer.render(document).payload, ensure_ascii=False, default=str)
	if making.error:  # the delivery says so
		error = f"{type(making.error).__name__}: {making.error}"[:500]
	return [outbox.change(doc.doctype, name, operation, stream=stream.name, note=error, payload=payload)]


_renderers: dict[tuple[str, str], tuple[OutboundStream, Renderer]] = {}


def _renderer(stream: OutboundStream) -> Renderer:
	"""Return the mapping of a stream, compiled once as long as its settings are the same."""
	known = _renderers.get((frappe.local.site, stream.name))
	if not known or known[0] != stream:
		runtime = FrappeRuntime()
		fields = runtime.target(stream.target_doctype, "Documents").fields()
		known = _renderers[frappe.local.site, stream.name] = (stream, Renderer(runtime, stream, fields))
	return known[1]


def _wake_after_commit(integrations: Sequence[str]) -> None:
	"""Have workers look once the transaction is committed. Should that fail, or be forgotten, the sweep is there."""
	waiting = frappe.flags.setdefault("integration_hub_to_wake", set())
	new = set(integrations) - waiting
	if not new:
		return
	waiting |= new
	frappe.db.after_commit.add(partial(_wake, waiting))
	frappe.db.after_rollback.add(waiting.clear)


def _wake(waiting: set[str]) -> None:
	integrations, runtime = sorted(waiting), FrappeRuntime()
	waiting.clear()
	for integration in integrations:
		with attempt() as waking:
			runtime.enqueue_dispatch(integration)
		if waking.error:
			logger.warning("No worker was woken (%s); the sweep will", type(waking.error).__name__)
			return
