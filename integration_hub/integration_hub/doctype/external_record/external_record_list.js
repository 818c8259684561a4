{% include "integration_hub/public/js/untrusted_text.js" %}

show_as_text("External Record");

frappe.listview_settings["External Record"] = {
	hide_name_column: true,
};
