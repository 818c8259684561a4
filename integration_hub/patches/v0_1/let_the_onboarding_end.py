"""A Module Onboarding without a documentation URL cannot be saved: done, it kept the workspace from opening."""

import frappe


def execute() -> None:
	"""Give the onboarding the URL that the app ships, where a site has kept the empty one."""
	name = "Integration Hub"
	folder = ("integration_hub", "module_onboarding", "integration_hub", f"{frappe.scrub(name)}.json")
	shipped = frappe.get_file_json(frappe.get_app_path("integration_hub", *folder))
	if not frappe.db.get_value("Module Onboarding", name, "documentation_url"):
		url = shipped["documentation_url"]
		frappe.db.set_value("Module Onboarding", name, "documentation_url", url, update_modified=False)
