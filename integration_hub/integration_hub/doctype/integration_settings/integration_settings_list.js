frappe.listview_settings["Integration Settings"] = {
	add_fields: ["enabled", "last_success_at", "last_failure_at"],
	get_indicator(doc) {
		if (!doc.enabled) return [__("Disabled"), "gray", "enabled,=,0"];
		if (doc.last_failure_at && doc.last_failure_at > (doc.last_success_at || ""))
			return [__("Failing"), "red", "enabled,=,1"];
		if (doc.last_success_at) return [__("OK"), "green", "enabled,=,1"];
		return [__("New"), "gray", "enabled,=,1"];
	},
};
