frappe.ui.form.on("Webhook Log", {
	refresh(frm) {
		frm.disable_save();
		if (!["Processing", "Conflict"].includes(frm.doc.status)) {
			frm.add_custom_button(__("Replay"), async () => {
				await frappe.call("integration_hub.api.replay_events", { names: [frm.doc.name] });
				frappe.show_alert({ message: __("Queued again"), indicator: "blue" });
				frm.reload_doc();
			});
		}
	},
});
