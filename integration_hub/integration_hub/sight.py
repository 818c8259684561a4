"""What of a document's values a person may see."""

from __future__ import annotations

from typing import Any

import frappe
from frappe import _
from frappe.model import get_permitted_fields


def readable_fields(doctype: str) -> set[str]:
	"""Return the fields of a DocType that the user may read."""
	tables = {df.fieldname for df in frappe.get_meta(doctype).get_table_fields()}
	return set(get_permitted_fields(doctype)) | tables


def seen(found: dict[str, Any], doctype: str) -> dict[str, Any]:
	"""Return a dry run (sync.dryrun.DryRun as a dict) as far as the user may see it: it shows what stands in documents."""
	fields = readable_fields(doctype)
	return {**found, "sample": [_difference(one, doctype, fields) for one in found["sample"]]}


def _difference(one: dict[str, Any], doctype: str, fields: set[str]) -> dict[str, Any]:
	if one["name"] and not _may_read(doctype, one["name"]):
		return {**one, "name": "", "changes": {}, "error": _("You may not read this document.")}
	return {**one, "changes": {field: pair for field, pair in one["changes"].items() if field in fields}}


def _may_read(doctype: str, name: str) -> bool:
	return bool(frappe.db.exists(doctype, name)) and bool(frappe.has_permission(doctype, "read", name))
