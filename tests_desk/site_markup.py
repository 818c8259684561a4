"""Rows with markup in all their texts, as a source or a sender might have it; prints {DocType: name}."""

import json

import frappe

TEXT = "<img src=x onerror='window.pwned=1'>"
STATUS = {
	"Webhook Log": "Dead",
	"Integration Error Log": "Open",
	"Sync Log": "Failed",
	"External Record": "Failed",
}
LINKS = {"integration": "desk-crm", "stream": "desk-customers"}
names = {}
for doctype, status in STATUS.items():
	meta = frappe.get_meta(doctype)
	texts = [
		df.fieldname
		for df in meta.fields
		if df.fieldtype in ("Data", "Small Text") and not 0 < df.length < len(TEXT)  # of our own, and short
	]
	links = {field: name for field, name in LINKS.items() if meta.has_field(field)}
	doc = frappe.get_doc({"doctype": doctype, "status": status, **links})
	doc.name = f"desk-markup-{frappe.generate_hash(length=8)}"
	doc.db_insert()
	frappe.db.sql(
		f"UPDATE `tab{doctype}` SET {', '.join(f'`{field}` = %s' for field in texts)} WHERE `name` = %s",
		[*[TEXT] * len(texts), doc.name],
	)
	names[doctype] = doc.name
for doctype, name, field in (
	("Integration Settings", "desk-crm", "last_error"),
	("Sync Settings", "desk-customers", "checkpoint"),
):
	if frappe.db.exists(doctype, name):  # made by test_desk
		frappe.db.set_value(doctype, name, field, TEXT)
		names[doctype] = name
print(json.dumps(names))
