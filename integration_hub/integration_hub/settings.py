"""Functions that the controllers of the settings documents share."""

from collections.abc import Sequence
from typing import NoReturn

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import cint

from integration_hub.integration_hub.messages import in_language


def keep_state(doc: Document, fields: Sequence[str]) -> None:
	"""Take the fields the engine keeps from the database, under a lock: a form that was opened before the
	last run must not put its old values back."""
	if doc.is_new():
		return
	current = frappe.db.get_value(doc.doctype, doc.name, fields, as_dict=True, for_update=True)
	doc.update(current or {})


def keep_rows(doc: Document, table: str) -> None:
	"""Put the rows of a table into the order that their numbers say, and number them by it.

	Refuses a row that belongs to another document: Frappe would take it out of that one, which checks nothing then.
	"""
	rows = sorted(doc.get(table), key=lambda row: cint(row.idx))
	known = [row.name for row in rows if row.name]
	fields = ["name", "parenttype", "parent", "parentfield"]
	doctype = doc.meta.get_field(table).options
	for owner in frappe.get_all(doctype, filters={"name": ["in", known]}, fields=fields) if known else ():
		if (owner.parenttype, owner.parent, owner.parentfield) != (doc.doctype, doc.name, table):
			refuse(doc, table, _("a row belongs to {0} {1}").format(_(owner.parenttype or ""), owner.parent))
	for number, row in enumerate(rows, 1):
		row.idx = number
	doc.set(table, rows)


def refuse(
	doc: Document, field: str, sentence: str, kind: type[Exception] = frappe.ValidationError
) -> NoReturn:
	"""Say what is wrong with a field, naming document and field, and stop the save with this kind of error."""
	label = _(doc.meta.get_label(field)) if field else ""
	place = ", ".join(part for part in (f"{_(doc.doctype)} {doc.name or ''}".strip(), label) if part)
	frappe.throw(f"{place}: {in_language(sentence)}", kind, title=_("Settings Not Saved"))
