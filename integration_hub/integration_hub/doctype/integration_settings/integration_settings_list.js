{% include "integration_hub/public/js/list_pills.js" %}
{% include "integration_hub/public/js/untrusted_text.js" %}
{% include "integration_hub/public/js/import_dialog.js" %}

show_as_text("Integration Settings");

const STATE_COLORS = {
	New: "gray",
	OK: "green",
	Failing: "red",
	Paused: "orange",
	"To Look At": "orange",
	Disabled: "gray",
};

frappe.listview_settings["Integration Settings"] = {
	hide_name_column: true,
	add_fields: ["enabled"],
	get_indicator(doc) {
		if (!doc.enabled) return [__("Disabled"), "gray", "enabled,=,0"];
		const { status } = cur_list?.hub_states?.[doc.name] || {};
		return [__(status || "…"), STATE_COLORS[status] || "gray", "enabled,=,1"];
	},
	onload(list) {
		import_button(list);
	},
	// It follows from streams, events, queues and pauses: no column holds it.
	async refresh(list) {
		const { message } = await frappe.call({ method: "integration_hub.api.integration_states", type: "GET" });
		list.hub_states = message || {};
		for (const doc of list.data.filter((row) => row.enabled)) {
			const { status, why } = list.hub_states[doc.name] || {};
			if (status) set_pill(list, doc.name, __(status), STATE_COLORS[status], why.join(" "));
		}
	},
};
