"""Let each stream say whether records of it have failed: one that does not never tries them again."""

import frappe


def execute() -> None:
	"""Flag the streams that have failed records."""
	frappe.db.sql(
		"""UPDATE `tabSync Settings` SET `has_failed` = 1
			WHERE `name` IN (SELECT `stream` FROM `tabExternal Record` WHERE `status` = 'Failed')"""
	)
