"""The rows of the app and of what it wrote, as JSON: what is compared before and after an upgrade."""

from __future__ import annotations

import json
from typing import Any

import frappe

TARGETS = ("Sandbox Customer", "Sandbox Customer Change", "Sandbox Customer Feed")

Rows = dict[str, dict[str, dict[str, Any]]]


def read_rows() -> Rows:
	"""Return all rows of the app's doctypes and of its targets: doctype, name, column, value."""
	frappe.db.commit()  # a new snapshot
	doctypes = frappe.get_all("DocType", filters={"module": "Integration Hub", "issingle": 0}, pluck="name")
	found = {
		doctype: {row["name"]: row for row in frappe.db.sql(f"SELECT * FROM `tab{doctype}`", as_dict=True)}
		for doctype in (*doctypes, *TARGETS)
	}
	return json.loads(json.dumps(found, default=str))
