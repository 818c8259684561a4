frappe.ui.form.on("Integration Error Log", {
	refresh(frm) {
		if (frm.doc.status !== "Open") return;
		frm.add_custom_button(__("Resolve"), async () => {
			await frappe.call("integration_hub.api.resolve_error", { name: frm.doc.name });
			frm.reload_doc();
		});
	},
});
