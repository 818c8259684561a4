"""Filters have a setting of their own now, and the limits of a deletion hold for small tables, too."""

import frappe

from integration_hub.connectors.records_path import split_filter


def execute() -> None:
	"""Move filters out of Records Path, and the deletion limit that nobody set to what it is now."""
	for name, path in frappe.db.sql(
		"SELECT `name`, `records_path` FROM `tabSync Settings` WHERE `records_path` LIKE '%%[?%%'"
	):
		if found := split_filter(path):
			values = {"records_path": found[0], "record_filter": found[1]}
			frappe.db.set_value("Sync Settings", name, values, update_modified=False)
	frappe.db.sql("UPDATE `tabSync Settings` SET `max_delete_count` = 5 WHERE `max_delete_count` = 100")
