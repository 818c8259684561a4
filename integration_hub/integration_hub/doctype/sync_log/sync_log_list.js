{% include "integration_hub/public/js/untrusted_text.js" %}

show_as_text("Sync Log");

frappe.listview_settings["Sync Log"] = {
	hide_name_column: true,
	onload(list) {
		integration_hub.show_retention(list);
	},
};
