"""New names of documents, in the rows that stand for them: a record that is bound to a name no longer in use is made again.

Frappe renames what links to a document, but looks for DocTypes that are linked to once in twelve hours, and learns of
no row that was written in bulk meanwhile (frappe.model.dynamic_links).
"""

from __future__ import annotations

import frappe

from integration_hub.runtime.frappe.outbox_rows import guarded
from integration_hub.stores.bindings import DOCTYPE as RECORDS
from integration_hub.stores.deliveries import DOCTYPE as DELIVERIES

# Deliveries first: who binds a record holds its delivery, so that the record is there before it is looked for.
_NAMED = ((DELIVERIES, "reference_doctype", "document"), (RECORDS, "target_doctype", "target_name"))


def follow_name(doctype: str, old: str, new: str) -> None:
	"""Have bindings and deliveries go with a document that has another name, within the transaction of the renaming."""
	guarded(lambda: _rename(doctype, str(old), str(new)), "What is bound did not follow a new name (%s)")


def _rename(doctype: str, old: str, new: str) -> None:
	for table, kind, name in _NAMED:
		sql = f"UPDATE `tab{table}` SET `{name}` = %s WHERE `{name}` = %s AND `{kind}` = %s"
		frappe.db.sql(sql, [new, old, doctype])
