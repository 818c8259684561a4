frappe.listview_settings["External Record"] = {
	hide_name_column: true,
};
