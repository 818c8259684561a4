"""Set Condition Type of the app's alerts to Python: v16 ignores a condition without it.

An alert that was imported before its file had it would be sent for every problem, whatever its kind.
"""

import frappe

from integration_hub.install import MODULE


def execute() -> None:
	"""Set Condition Type of the app's Notifications to Python where it is not set; v15 has no such field."""
	if not frappe.get_meta("Notification").has_field("condition_type"):  # v15
		return
	unsaid = {"module": MODULE, "condition_type": ["is", "not set"]}
	for name in frappe.get_all("Notification", filters=unsaid, pluck="name"):
		frappe.db.set_value("Notification", name, "condition_type", "Python", update_modified=False)
