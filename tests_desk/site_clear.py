"""After the tests, and before them: nothing of theirs stays on the site."""

import frappe

for stream in frappe.get_all(
	"Sync Settings", filters={"integration": ["in", ("desk-crm", "desk-ops")]}, pluck="name"
):
	frappe.db.set_value("Sync Settings", stream, "status", "New")
	frappe.db.delete("Sync Log", {"stream": stream})
	frappe.db.delete("External Record", {"stream": stream})
frappe.db.delete("Webhook Route", {"parent": ["in", ("desk-crm", "desk-ops")]})
for doctype in ("Webhook Log", "Integration Error Log"):
	frappe.db.delete(doctype, {"integration": ["in", ("desk-crm", "desk-ops")]})
for doctype, filters in (
	("Sync Settings", {"integration": ["in", ("desk-crm", "desk-ops")]}),
	("Integration Settings", {"name": ["in", ("desk-crm", "desk-ops", "desk-oauth")]}),
	("User", {"name": ["in", ("desk-viewer@example.com", "desk-manager@example.com")]}),
):
	for name in frappe.get_all(doctype, filters=filters, pluck="name"):
		frappe.delete_doc(doctype, name, force=True)
if frappe.db.exists("DocType", "Desk Customer"):
	frappe.db.delete("Desk Customer")
	frappe.delete_doc("DocType", "Desk Customer", force=True)
