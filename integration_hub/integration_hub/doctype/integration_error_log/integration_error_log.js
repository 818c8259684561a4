frappe.ui.form.on("Integration Error Log", {
	refresh(frm) {
		frm.disable_save();
		integration_hub.show_code(frm, "response_body", "response_view");
		add_actions(frm);
		add_views(frm);
	},
});

function add_actions(frm) {
	if (!integration_hub.may_act()) return;
	const names = [frm.doc.name];
	const button = (label, act) =>
		frm.add_custom_button(label, async () => {
			await act();
			await frm.reload_doc();
			if (label === __("Retry")) integration_hub.follow(frm, [...integration_hub.EVENTS, ...integration_hub.RUNS]);
		});
	if (frm.doc.status === "Open") {
		button(__("Resolve"), () => integration_hub.call("resolve_failures", { names }));
	} else {
		button(__("Reopen"), () => integration_hub.call("reopen_failures", { names }));
	}
	if (frm.doc.operation === "Test Connection") {
		button(__("Retry"), () => test_connection(frm));
	} else if (frm.doc.stream || frm.doc.webhook_log) {
		button(__("Retry"), () => integration_hub.retry(names));
	}
}

async function test_connection(frm) {
	const { integration } = frm.doc;
	const answer = await integration_hub.call("test_connection", { integration }, __("Calling {0} …", [integration]));
	integration_hub.say(frappe.utils.escape_html(answer.message), answer.ok ? "green" : "red");
}

function add_views(frm) {
	const { doc } = frm;
	const view = (label, doctype, filters) =>
		frm.add_custom_button(label, () => frappe.set_route("List", doctype, filters), __("View"));
	if (doc.webhook_log) {
		view(__("Affected Events"), "Webhook Log", {
			integration: doc.integration,
			status: ["in", ["Failed", "Dead"]],
			error_log: doc.name,
		});
	}
	if (doc.stream) {
		view(__("Failed Records"), "External Record", { stream: doc.stream, status: ["in", ["Failed", "Dead", "Unidentified"]] });
		view(__("Runs"), "Sync Log", { stream: doc.stream });
	}
	if (doc.stream && doc.external_id) {
		view(__("External Record"), "External Record", { stream: doc.stream, external_id: doc.external_id });
	}
	view(__("Other Failures"), "Integration Error Log", { integration: doc.integration, status: "Open" });
}
