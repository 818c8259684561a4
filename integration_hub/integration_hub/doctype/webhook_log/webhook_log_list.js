frappe.listview_settings["Webhook Log"] = {
	hide_name_column: true,
	onload(list) {
		list.page.add_action_item(__("Replay"), async () => {
			const names = list.get_checked_items(true);
			const { message } = await frappe.call("integration_hub.api.replay_events", { names });
			frappe.show_alert({ message: __("{0} events queued again", [message]), indicator: "blue" });
			list.refresh();
		});
		frappe.require("logtypes.bundle.js", () => {
			frappe.utils.logtypes.show_log_retention_message(list.doctype);
		});
	},
};
