frappe.ui.form.on("Integration Error Log", {
	refresh(frm) {
		frm.disable_save();
		if (frm.doc.stream) {
			frm.add_custom_button(__("Failed Records"), () =>
				frappe.set_route("List", "External Record", { stream: frm.doc.stream, status: "Failed" })
			);
		}
		if (frm.doc.status !== "Open") return;
		frm.add_custom_button(__("Resolve"), async () => {
			await frappe.call("integration_hub.api.resolve_error", { name: frm.doc.name });
			frm.reload_doc();
		});
	},
});
