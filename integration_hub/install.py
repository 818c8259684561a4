"""Steps of installing and uninstalling beyond the doctypes."""

import frappe

ROLES = ("Integration Manager", "Integration Viewer")
MODULE = "Integration Hub"


def after_install() -> None:
	"""Make the app's roles, and say how long its logs are kept."""
	for role in ROLES:
		if not frappe.db.exists("Role", role):
			frappe.get_doc({"doctype": "Role", "role_name": role}).insert()
		frappe.db.set_value("Role", role, "desk_access", 1)
	# Frappe would add the retention of our logs with its next daily clean-up; show it from the first day.
	settings = frappe.get_doc("Log Settings")
	settings.add_default_logtypes()
	settings.save(ignore_permissions=True)


def after_migrate() -> None:
	"""Bring back, on SQLite, what a change of a column has taken, by a migration or by Customize Form."""
	if frappe.db.db_type == "sqlite":
		from integration_hub.runtime.frappe.indexes import restore
		from integration_hub.stores.doctype_tables import doctypes

		for doctype in doctypes():
			restore(doctype)


def before_uninstall() -> None:
	"""Remove what uninstalling an app leaves behind: secrets, jobs, log settings, traces of the documents."""
	for doctype in frappe.get_all("DocType", filters={"module": MODULE}, pluck="name"):
		frappe.db.delete("__Auth", {"doctype": doctype})
		frappe.db.delete("Version", {"ref_doctype": doctype})
		frappe.db.delete("Comment", {"reference_doctype": doctype})
		frappe.db.delete("Deleted Document", {"deleted_doctype": doctype})
		frappe.db.delete("__UserSettings", {"doctype": doctype})
		frappe.db.delete("Logs To Clear", {"ref_doctype": doctype})
		frappe.db.delete("Notification Log", {"document_type": doctype})
	# The steps of the onboarding belong to no module.
	frappe.db.delete("Onboarding Step", {"name": ["like", "Integration Hub %"]})
	_remove_from_desktop()
	# Frappe would call them until the next migrate.
	frappe.db.delete("Scheduled Job Type", {"method": ["like", "integration_hub.%"]})


def _remove_from_desktop() -> None:
	"""Remove v16's sidebar and icon: Frappe deletes them after its last commit, and in developer mode their files too."""
	for doctype in ("Workspace Sidebar", "Desktop Icon"):
		if frappe.db.table_exists(doctype):
			for table in frappe.get_meta(doctype).get_table_fields():
				frappe.db.delete(table.options, {"parenttype": doctype, "parent": MODULE})
			frappe.db.delete(doctype, {"name": MODULE})


def after_uninstall() -> None:
	"""Remove the app's roles."""
	for role in ROLES:
		frappe.db.delete("Has Role", {"role": role})
		frappe.delete_doc("Role", role, ignore_missing=True, force=True)
	frappe.db.commit()  # Frappe has made its last commit before it calls this


def may_see_app() -> bool:
	"""Tell whether the apps screen shows the app to the current user."""
	return frappe.has_permission("Integration Settings", "read")
