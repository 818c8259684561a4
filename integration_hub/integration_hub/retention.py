"""Deleting old log rows in pieces, so that no table is locked for long."""

from collections.abc import Sequence

import frappe
from frappe.utils import add_to_date, now_datetime

CHUNK = 1000


def clear_old(doctype: str, days: int, statuses: Sequence[str]) -> None:
	"""Delete rows of the given states that were not modified for `days`, a chunk a transaction."""
	before = add_to_date(now_datetime(), days=-days)
	filters = {"modified": ["<", before], "status": ["in", list(statuses)]}
	while names := frappe.get_all(doctype, filters=filters, pluck="name", limit=CHUNK, order_by="modified"):
		frappe.db.delete(doctype, {"name": ["in", names]})
		frappe.db.commit()
