frappe.ui.form.on("Integration Settings", {
	setup: offer_choices,
	refresh(frm) {
		if (frm.is_new()) return;
		if (frm.has_perm("write")) {
			frm.add_custom_button(__("Test Connection"), () => test_connection(frm));
		}
		for (const [label, doctype] of [
			[__("Streams"), "Sync Settings"],
			[__("Events"), "Webhook Log"],
			[__("Runs"), "Sync Log"],
			[__("Errors"), "Integration Error Log"],
		]) {
			frm.add_custom_button(
				label,
				() => frappe.set_route("List", doctype, { integration: frm.doc.name }),
				__("View")
			);
		}
		show_webhook_url(frm);
		show_health(frm);
	},
	webhook_enabled: show_webhook_url,
});

async function offer_choices(frm) {
	const { message } = await frappe.call({ method: "integration_hub.api.choices", type: "GET" });
	for (const field of ["connector", "webhook_scheme"]) frm.set_df_property(field, "options", message[field]);
	frm.fields_dict.routes.grid.update_docfield_property("handler", "options", message.handler);
}

function show_webhook_url(frm) {
	const url = `${window.location.origin}/api/method/integration_hub.api.webhook/${frm.doc.name}`;
	frm.set_df_property(
		"webhook_enabled",
		"description",
		frm.doc.webhook_enabled && !frm.is_new() ? __("The sender posts to {0}", [`<code style="word-break: break-all">${url}</code>`]) : ""
	);
}

async function show_health(frm) {
	const { message: health } = await frappe.call({
		method: "integration_hub.api.health",
		type: "GET",
		args: { integration: frm.doc.name },
	});
	const colors = { Closed: "green", "Half-Open": "orange", Open: "red" };
	const states = {
		Closed: __("Calls pass"),
		"Half-Open": __("One call will try again"),
		Open: __("Calls paused for {0} s after failures", [health.pause]),
	};
	frm.dashboard.clear_headline();
	frm.dashboard.stats_area_row?.empty();
	frm.dashboard.add_indicator(states[health.breaker], colors[health.breaker]);
	frm.dashboard.add_indicator(
		health.shared ? __("Budget shared by all workers") : __("No Redis: budget of each worker alone"),
		health.shared ? "green" : "orange"
	);
	frm.dashboard.add_indicator(__("{0} events waiting", [health.waiting]), health.waiting ? "blue" : "gray");
	frm.dashboard.add_indicator(__("{0} events to look at", [health.failed]), health.failed ? "red" : "gray");
}

async function test_connection(frm) {
	if (frm.is_dirty()) await frm.save();
	const { message } = await frappe.call({
		method: "integration_hub.api.test_connection",
		args: { integration: frm.doc.name },
		freeze: true,
		freeze_message: __("Calling {0} …", [frm.doc.base_url]),
	});
	frappe.msgprint({
		title: message.ok ? __("Connected") : __("Not Connected"),
		indicator: message.ok ? "green" : "red",
		message: frappe.utils.escape_html(message.message).replaceAll("\n", "<br>"),
	});
	frm.reload_doc();
}
