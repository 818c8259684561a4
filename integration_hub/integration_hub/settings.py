"""What the controllers of the settings documents share."""

from collections.abc import Sequence
from typing import NoReturn

import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.integration_hub.sentences import in_language


def keep_state(doc: Document, fields: Sequence[str]) -> None:
	"""Take the fields the engine keeps from the database, under a lock: a form that was opened before the
	last run shall not put its old values back."""
	if doc.is_new():
		return
	current = frappe.db.get_value(doc.doctype, doc.name, fields, as_dict=True, for_update=True)
	doc.update(current or {})


def refuse(doc: Document, field: str, sentence: str) -> NoReturn:
	"""Say what is wrong with a field, naming document and field, and stop the save."""
	label = _(doc.meta.get_label(field)) if field else ""
	place = ", ".join(part for part in (f"{_(doc.doctype)} {doc.name or ''}".strip(), label) if part)
	frappe.throw(f"{place}: {in_language(sentence)}", title=_("Settings Not Saved"))
