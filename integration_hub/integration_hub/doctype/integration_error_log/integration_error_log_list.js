frappe.listview_settings["Integration Error Log"] = {
	hide_name_column: true,
	onload(list) {
		list.page.add_action_item(__("Resolve"), async () => {
			for (const name of list.get_checked_items(true)) {
				await frappe.call("integration_hub.api.resolve_error", { name });
			}
			list.refresh();
		});
		frappe.require("logtypes.bundle.js", () => {
			frappe.utils.logtypes.show_log_retention_message(list.doctype);
		});
	},
};
