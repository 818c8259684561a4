"""After the tests, and before them: nothing of theirs stays on the site."""

import frappe

INTEGRATIONS = ("desk-crm", "desk-ops", "sandbox-crm")
if frappe.db.get_value("Sync Settings", "contacts", "integration") == "sandbox-crm":
	written = {"stream": "contacts", "target_doctype": "Contact", "target_name": ["is", "set"]}
	for name in frappe.get_all("External Record", filters=written, pluck="target_name"):
		frappe.delete_doc("Contact", name, force=True, ignore_missing=True)
for doctype in ("Webhook Log", "Integration Error Log", "Sync Log", "External Record"):
	frappe.db.delete(doctype, {"name": ["like", "desk-markup-%"]})
for stream in frappe.get_all("Sync Settings", filters={"integration": ["in", INTEGRATIONS]}, pluck="name"):
	frappe.db.set_value("Sync Settings", stream, "status", "New")
	frappe.db.delete("Sync Log", {"stream": stream})
	frappe.db.delete("External Record", {"stream": stream})
frappe.db.delete("Webhook Route", {"parent": ["in", INTEGRATIONS]})
for doctype in ("Webhook Log", "Integration Error Log"):
	frappe.db.delete(doctype, {"integration": ["in", INTEGRATIONS]})
for doctype, filters in (
	("Sync Settings", {"integration": ["in", INTEGRATIONS]}),
	("Integration Settings", {"name": ["in", (*INTEGRATIONS, "desk-oauth")]}),
	("User", {"name": ["in", ("desk-viewer@example.com", "desk-manager@example.com")]}),
):
	for name in frappe.get_all(doctype, filters=filters, pluck="name"):
		frappe.delete_doc(doctype, name, force=True)
if frappe.db.exists("DocType", "Desk Customer"):
	frappe.db.delete("Desk Customer")
	frappe.delete_doc("DocType", "Desk Customer", force=True)
