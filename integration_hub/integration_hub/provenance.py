"""Provenance of a document: the entries of its timeline that tell of its External Records.

The entry of a binding carries it as `external_record` too: the form's dashboard links to it, without a call of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

import frappe
from frappe import _
from frappe.utils import escape_html, get_url_to_form

from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.outbox_rows import doctypes_sent
from integration_hub.stores.ids import made_at

_MOST = 20  # bindings of one document: each stream has one, and few streams share a document


def timeline(doctype: str, name: str) -> list[dict[str, Any]]:
	"""Return timeline entries for a document, if it is bound and the user may read what it is bound to.

	Called by Frappe for each form that is opened: a document that is not bound costs one look into an index, and one
	that is sent a second one.
	"""
	if not frappe.has_permission("External Record", "read"):
		return []
	filters = {"target_name": str(name), "target_doctype": doctype}
	# All fields: asked for `last_seen` by name, Frappe takes it for its own optional column `_seen`, and drops it.
	bound = frappe.get_list(
		"External Record", filters=filters, fields=["*"], order_by="creation", limit_page_length=_MOST
	)
	kinds = doctypes_of(id for row in bound for id in (row.made_by, row.changed_by, row.last_seen))
	entries = [entry for row in bound for entry in _entries(row, kinds)]
	return [*entries, *_deliveries(doctype, str(name))]


def _deliveries(doctype: str, name: str) -> list[dict[str, Any]]:
	"""Return entries for the last deliveries of a document, as far as the user may read them."""
	if doctype not in doctypes_sent() or not frappe.has_permission("Delivery Log", "read"):
		return []
	rows = frappe.get_list(
		"Delivery Log",
		filters={"document": name, "reference_doctype": doctype, "status": ["!=", "Unchanged"]},
		fields=["name", "stream", "status", "operation", "modified"],
		order_by="creation desc",
		limit_page_length=_MOST,
	)
	said = _("{0} to {1}: {2}, {3}")
	return [
		_entry(
			row.modified,
			said.format(
				_link("Delivery Log", row.name, _("Delivery")),
				_link("Sync Settings", row.stream, row.stream),
				escape_html(_(row.operation)),
				escape_html(_(row.status)),
			),
		)
		for row in rows
	]


def doctypes_of(ids: Iterable[str | None]) -> dict[str, str]:
	"""Return whether ids are runs or events, as DocTypes; those whose row is no longer kept are left out."""
	wanted = list({id for id in ids if id})
	if not wanted:
		return {}
	return {
		name: doctype
		for doctype in ("Sync Log", "Webhook Log")
		for name in frappe.get_all(doctype, filters={"name": ["in", wanted]}, pluck="name")
	}


def _entries(row: Any, kinds: dict[str, str]) -> list[dict[str, Any]]:
	record = _link("External Record", row.name, row.external_id)
	stream = _link("Sync Settings", row.stream, row.stream)
	bound = {field: row[field] for field in ("name", "external_id", "stream", "status")}
	if frappe.get_cached_value("Sync Settings", row.stream, "direction") == "Out":  # deliveries say the rest
		said = _("This document is {0} of {1}").format(record, stream)
		return [_entry(row.creation, said) | {"external_record": bound}]
	by = _by(row.made_by, kinds)
	if row.adopted:
		came = _("{0} of {1} was bound to this document, which existed before, {2}")
	else:
		came = _("This document came from {0} of {1}, {2}")
	entries = [_entry(row.creation, came.format(record, stream, by)) | {"external_record": bound}]
	if row.changed_by and (row.changed_by != row.made_by or row.status != "Bound"):
		entries.append(
			_entry(row.modified, _last_change(row).format(record, stream, _by(row.changed_by, kinds)))
		)
	if row.last_seen not in (row.made_by, row.changed_by) and kinds.get(row.last_seen) == "Sync Log":
		seen = _("{0} was received unchanged from {1}, {2}").format(record, stream, _by(row.last_seen, kinds))
		entries.append(_entry(_site_time(row.last_seen), seen))
	return entries


def _last_change(row: Any) -> str:
	if row.status in ("Failed", "Dead"):
		return _("A change of {0} of {1} could not be written here, {2}")
	if row.status == "Deleted":
		return _("{0} is gone from {1}; found {2}")
	return _("A change of {0} of {1} was last written here, {2}")


def _by(id: str | None, kinds: dict[str, str]) -> str:
	"""Return «by run …» or «by event …», with a link where there still is such a row."""
	if kinds.get(id) == "Sync Log":
		return _("by {0}").format(_link("Sync Log", id, _("a run")))
	if kinds.get(id) == "Webhook Log":
		return _("by {0}").format(_link("Webhook Log", id, _("an event")))
	return _("by a run or event that is no longer kept")


def _link(doctype: str, name: str, text: str) -> str:
	return f'<a href="{escape_html(get_url_to_form(doctype, name))}">{escape_html(text)}</a>'


def _entry(time: Any, content: str) -> dict[str, Any]:
	return {"icon": "link-url", "creation": str(time), "content": f"<span>{content}</span>"}


def _site_time(id: str) -> str:
	return FrappeRuntime().local_time(datetime.fromtimestamp(made_at(id), timezone.utc))
