{% include "integration_hub/public/js/list_pills.js" %}
{% include "integration_hub/public/js/untrusted_text.js" %}

show_as_text("Integration Settings");

frappe.listview_settings["Integration Settings"] = {
	hide_name_column: true,
	add_fields: ["enabled", "last_success_at", "last_failure_at"],
	get_indicator(doc) {
		if (!doc.enabled) return [__("Disabled"), "gray", "enabled,=,0"];
		if (doc.last_failure_at && doc.last_failure_at > (doc.last_success_at || ""))
			return [__("Failing"), "red", "enabled,=,1"];
		if (doc.last_success_at) return [__("OK"), "green", "enabled,=,1"];
		return [__("New"), "gray", "enabled,=,1"];
	},
	// Pauses are no column: they stand where all workers see them, and pass by themselves.
	async refresh(list) {
		const { message } = await frappe.call({ method: "integration_hub.api.paused_integrations", type: "GET" });
		for (const name of message || []) set_pill(list, name, __("Paused"), "orange");
	},
};
