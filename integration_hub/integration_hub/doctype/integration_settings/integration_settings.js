frappe.ui.form.on("Integration Settings", {
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
	},
	webhook_enabled: show_webhook_url,
});

function show_webhook_url(frm) {
	const url = `${window.location.origin}/api/method/integration_hub.api.webhook/${frm.doc.name}`;
	frm.set_df_property(
		"webhook_enabled",
		"description",
		frm.doc.webhook_enabled && !frm.is_new() ? __("The sender posts to {0}", [`<code style="word-break: break-all">${url}</code>`]) : ""
	);
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
