"""Documents as plain values, for what is sent."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import frappe
from frappe.model.document import Document


def read_document(doctype: str, name: str) -> dict[str, Any] | None:
	"""Return a document as it is in the database, None if there is none of exactly this name."""
	found = frappe.db.get_value(doctype, {"name": name}, "name")
	return plain_document(frappe.get_doc(doctype, name)) if found == name else None


def plain_document(doc: Document) -> dict[str, Any]:
	"""Return what a document holds, with the rows of its tables, its values as JSON has them; passwords are left out."""
	hidden = {field.fieldname for field in doc.meta.fields if field.fieldtype == "Password"}
	values = doc.as_dict(convert_dates_to_str=False, no_nulls=False)
	return {name: _plain(value) for name, value in values.items() if name not in hidden and name != "doctype"}


def _plain(value: Any) -> Any:
	if isinstance(value, list):
		return [
			{name: _plain(inner) for name, inner in row.items()} for row in value if isinstance(row, dict)
		]
	if isinstance(value, Decimal):
		return float(value)
	if isinstance(value, date | time | timedelta):  # datetime is a date
		return str(value)
	return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
