"""Text from outside, as a Document stores it: Frappe's own sanitizer, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import frappe
from frappe.model.document import Document

_UNSEEN = dict.fromkeys(range(0x20))


def sanitize(doctype: str, values: Mapping[str, Any], as_is: Iterable[str] = ()) -> Mapping[str, Any]:
	"""Return the values of a document or row with its text as a Document of the DocType stores it.

	What a field is decides (Code, *Ignore XSS Filter* …). Its controller is not asked. as_is: fields that stay.
	"""
	markup = {name: value for name, value in values.items() if _may_be_markup(value) and name not in as_is}
	if not markup:
		return values
	doc = Document({"doctype": doctype, **markup})
	doc._sanitize_content()  # what decides is the framework's: no list of fieldtypes is kept here
	return {**values, **{name: doc.get(name) for name in markup}}


def may_hold_markup(values: Mapping[str, Any]) -> bool:
	"""Tell, at the speed that each record of a mirror is worth, whether there may be something to clean."""
	for value in values.values():
		if value.__class__ is not str:
			if isinstance(value, str | list):
				return True
		elif "<" in value or ">" in value:
			return True
	return False


def sanitize_record(doctype: str, values: Mapping[str, Any], as_is: Iterable[str] = ()) -> dict[str, Any]:
	"""Return a record's values, those of its child tables among them, as a Document stores its text.

	as_is: fields that stay, those of a child table as `table.field`.
	"""
	cleaned = dict(sanitize(doctype, values, as_is))
	for name, rows in values.items():
		if isinstance(rows, list):
			child = frappe.get_meta(doctype).get_field(name).options
			raw = [path.partition(".")[2] for path in as_is if path.startswith(f"{name}.")]
			cleaned[name] = [dict(sanitize(child, row, raw)) for row in rows]
	return cleaned


def url_fields(doctype: str) -> list[str]:
	"""Return the Data fields of URLs: forms make links of them, for people to follow."""
	return [df.fieldname for df in frappe.get_meta(doctype).get_data_fields() if df.get("options") == "URL"]


def bad_link(doctype: str, fields: Iterable[str], values: Mapping[str, Any]) -> Exception | None:
	"""Return why fields of URLs cannot hold what they are given.

	Besides what a Document refuses, that is a script: Frappe takes `javascript://host/…` for a URL.
	"""
	for name, value in ((name, str(values[name])) for name in fields if values.get(name)):
		scheme = "".join(value.split()).lower().translate(_UNSEEN)  # as browsers read it
		if scheme.startswith(("javascript:", "vbscript:", "data:")) or not _is_url(doctype, name, value):
			return frappe.ValidationError(f"{name}: {value[:100]!r} is not a URL")
	return None


def _is_url(doctype: str, field: str, value: str) -> bool:
	try:
		Document({"doctype": doctype, field: value})._validate_data_fields()
	except frappe.ValidationError:
		frappe.clear_messages()
		return False
	return True


def _may_be_markup(value: Any) -> bool:
	return isinstance(value, str) and ("<" in value or ">" in value)
