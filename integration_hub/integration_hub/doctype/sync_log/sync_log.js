frappe.ui.form.on("Sync Log", {
	refresh(frm) {
		frm.disable_save();
		frm.add_custom_button(__("Records"), () =>
			frappe.set_route("List", "External Record", { stream: frm.doc.stream })
		);
		if (frm.doc.status !== "Needs Approval") return;
		frm.dashboard.set_headline(
			__("The source no longer has {0} records that this stream made. Nothing was removed yet.", [
				frm.doc.to_delete,
			])
		);
		frm.add_custom_button(__("See What Would Go"), () =>
			frappe.set_route("List", "External Record", { missing_run: frm.doc.name })
		);
		frm.add_custom_button(__("Approve Deletions"), () => approve(frm)).addClass("btn-danger");
	},
});

function approve(frm) {
	frappe.confirm(
		__("Remove {0} documents of {1}?", [frm.doc.to_delete, frm.doc.stream.bold()]),
		async () => {
			await frappe.call("integration_hub.api.approve_deletions", { sync_log: frm.doc.name });
			frappe.show_alert({ message: __("The deletion was handed to a worker"), indicator: "blue" });
			frappe.set_route("List", "Sync Log", { stream: frm.doc.stream });
		}
	);
}
