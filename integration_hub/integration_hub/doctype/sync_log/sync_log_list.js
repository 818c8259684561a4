frappe.listview_settings["Sync Log"] = {
	hide_name_column: true,
	onload(list) {
		integration_hub.show_retention(list);
	},
};
