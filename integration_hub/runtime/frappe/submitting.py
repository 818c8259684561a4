"""Submitting, cancelling and amending documents, each within the savepoint that writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import escape_html

from integration_hub.connectors.markup import plain_text
from integration_hub.runtime.frappe.document_changes import change as apply
from integration_hub.stores.runtime import CANCEL, SUBMIT, CancelledDocument, Change, LeftAsItIs
from integration_hub.sync.after_writing import AMEND, COMMENT, FAIL


class SubmittedDocument(LeftAsItIs):
	"""A submitted document whose record has changed in what may not change any more."""


class LinksBehind(LeftAsItIs):
	"""A document that cannot be cancelled, for others that are submitted stand on it."""


def submit_problem(doctype: str) -> str:
	"""Return why documents of a DocType cannot be submitted, "" if they can."""
	return "" if frappe.get_meta(doctype).is_submittable else f"{doctype} is not submittable"


def save(doc: Document, state: str) -> None:
	"""Save a document, and submit it if it is to be submitted and is a draft."""
	if state == SUBMIT and doc.docstatus.is_draft():
		doc.submit()
	else:
		doc.save()


def forbidden(doc: Document, changed: Sequence[str]) -> list[str]:
	"""Return those of the changed fields, and `table.field` of rows, that a submitted document does not take."""
	return [path for path in changed if doc.docstatus.is_submitted() and not _is_allowed(doc, path)]


def _is_allowed(doc: Document, path: str) -> bool:
	table, dot, name = path.partition(".")
	df = doc.meta.get_field(table)
	if dot:
		df = frappe.get_meta(df.options).get_field(name) if df else None
	return bool(df and df.allow_on_submit)


def left_alone(doc: Document, change: Change, fields: Sequence[str]) -> dict[str, Any]:
	"""Return the values that a submitted document still takes, and comment on the others, or raise SubmittedDocument.

	fields: what it does not take (see forbidden).
	"""
	said = f"{doc.doctype} {doc.name} is submitted; not written: {', '.join(fields)}"
	if change.on_submitted != COMMENT:
		raise SubmittedDocument(said)
	note(
		doc, _("The external system has changed what may not change after submission: {0}"), ", ".join(fields)
	)
	tops = {path.partition(".")[0] for path in fields}
	return {name: value for name, value in change.values.items() if name not in tops}


def state_after(doc: Document, change: Change) -> int:
	"""Return the docstatus that a document has after a change, foretold."""
	now = int(doc.docstatus or 0)
	if change.state == CANCEL and now == 1:
		return 2
	return 1 if change.state == SUBMIT and now == 0 else now


def refuses(change: Change) -> bool:
	"""Tell whether a change that a submitted document does not take is not written at all."""
	return change.on_submitted not in (COMMENT, AMEND)


def fails(change: Change) -> bool:
	"""Tell whether Frappe itself is to refuse what a submitted document does not take, each time."""
	return change.on_submitted == FAIL


def amends(change: Change) -> bool:
	"""Tell whether a submitted document that does not take a change is cancelled, and amended."""
	return change.on_submitted == AMEND


def held_at_levels(doc: Document) -> list[str]:
	"""Return the fields of higher permission levels that hold something: an amendment by others would lose it."""
	return [df.fieldname for df in doc.meta.get_high_permlevel_fields() if doc.get(df.fieldname)]


def amend(doctype: str, change: Change) -> Document:
	"""Cancel a submitted document and make its amendment with a record's values, which is submitted if they say so."""
	before = frappe.get_doc(doctype, change.name)
	before.check_permission("amend")  # which Frappe leaves to the form
	cancel(before)
	doc = frappe.copy_doc(before)
	for each in (doc, *doc.get_all_children()):
		each.docstatus = 0  # which Frappe's copy keeps while tests run
	doc.amended_from = before.name
	apply(doc, change.values)
	doc.flags.notify_update = False
	doc.insert()
	if change.state == SUBMIT:
		doc.submit()
	return doc


def cancel(doc: Document) -> None:
	"""Cancel a submitted document. Raises LinksBehind where others that are submitted stand on it."""
	doc.flags.notify_update = False
	try:
		doc.cancel()
	except frappe.LinkExistsError as error:
		said = plain_text(str(error)) or "others that are submitted stand on it"
		raise LinksBehind(f"{doc.doctype} {doc.name} is not cancelled: {said}") from error


def cancel_for(doc: Document, change: Change) -> None:
	"""Do what a record that is cancelled at its source means for its document: of a draft, a comment."""
	if doc.docstatus.is_submitted():
		cancel(
			frappe.get_doc(doc.doctype, doc.name)
		)  # as it is stored: its last values are not written any more
	elif doc.docstatus.is_draft():
		note(doc, _("The external system has cancelled the record {0}."), change.external_id)


def gone(doctype: str, name: str) -> None:
	"""Cancel a document whose record is gone; comment on a draft. One that is gone itself is no error."""
	if not frappe.db.exists(doctype, name):
		return
	doc = frappe.get_doc(doctype, name)
	if doc.docstatus.is_submitted():
		cancel(doc)
	elif doc.docstatus.is_draft():
		note(doc, _("The record of this document is gone from the external system."))


def note(doc: Document, template: str, *values: str) -> None:
	"""Comment on a document, once: the same comment is not made again."""
	text = escape_html(template.format(*values))
	filters = {"reference_doctype": doc.doctype, "reference_name": doc.name, "content": text}
	if not frappe.db.exists("Comment", filters):
		doc.add_comment("Comment", text)


def refuse_cancelled(doc: Document, change: Change, changed: Sequence[str]) -> None:
	"""Raise CancelledDocument where a cancelled document would have to change, or be submitted again."""
	if not doc.docstatus.is_cancelled() or change.state == CANCEL:
		return
	if changed:
		raise CancelledDocument(f"{doc.doctype} {doc.name} is cancelled; not written: {', '.join(changed)}")
	if change.state == SUBMIT:
		raise CancelledDocument(f"{doc.doctype} {doc.name} is cancelled, and its record is not")
