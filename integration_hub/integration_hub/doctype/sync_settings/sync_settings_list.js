frappe.listview_settings["Sync Settings"] = {
	hide_name_column: true,
};
