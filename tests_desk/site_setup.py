"""Before the tests, on the site: a DocType for the customers, and what a fresh site asks for first."""

import frappe
from frappe.installer import update_site_config
from frappe.utils.password import update_password

frappe.db.set_single_value("System Settings", {"setup_complete": 1, "enable_onboarding": 1})
if frappe.db.get_default("desktop:home_page") == "setup-wizard":
	frappe.db.set_default("desktop:home_page", "workspace")  # else Desk has no bar at its top
if frappe.db.has_column("Installed Application", "is_setup_complete"):
	frappe.db.set_value("Installed Application", {"is_setup_complete": 0}, "is_setup_complete", 1)
for doctype in ("Module Onboarding", "Onboarding Step"):
	for name in frappe.get_all(doctype, filters={"name": ["like", "Integration Hub%"]}, pluck="name"):
		frappe.db.set_value(doctype, name, "is_complete", 0)
		if doctype == "Onboarding Step":
			frappe.db.set_value(doctype, name, "is_skipped", 0)
frappe.db.set_single_value("System Settings", "enable_scheduler", 1)
update_site_config("developer_mode", 0)  # an onboarding that is done would be written into the app's folder
update_site_config("integration_hub_sandbox", 1)
update_site_config("integration_hub_allowed_hosts", ["127.0.0.1:*"])
if not frappe.db.exists("DocType", "Desk Customer"):
	fields = [
		{
			"fieldname": "customer_name",
			"fieldtype": "Data",
			"label": "Customer Name",
			"in_list_view": 1,
			"reqd": 1,
		},
		{"fieldname": "email", "fieldtype": "Data", "label": "Email", "in_list_view": 1},
		{"fieldname": "city", "fieldtype": "Data", "label": "City", "in_list_view": 1},
		{"fieldname": "credit_limit", "fieldtype": "Currency", "label": "Credit Limit"},
		{"fieldname": "active", "fieldtype": "Check", "label": "Active"},
	]
	rights = {"role": "System Manager", "read": 1, "write": 1, "create": 1, "delete": 1}
	frappe.get_doc(
		{
			"doctype": "DocType",
			"name": "Desk Customer",
			"module": "Custom",
			"custom": 1,
			"autoname": "hash",
			"title_field": "customer_name",
			"fields": fields,
			"permissions": [rights],
		}
	).insert()
for role in ("Viewer", "Manager"):
	email = f"desk-{role.lower()}@example.com"
	user = {"doctype": "User", "email": email, "first_name": role, "send_welcome_email": 0}
	frappe.get_doc({**user, "roles": [{"role": f"Integration {role}"}]}).insert()
	update_password(email, "desk-Pass-2781")
