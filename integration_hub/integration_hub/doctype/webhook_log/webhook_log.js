frappe.ui.form.on("Webhook Log", {
	refresh(frm) {
		frm.disable_save();
		integration_hub.show_code(frm, "payload", "payload_view");
		integration_hub.show_code(frm, "headers", "headers_view");
		add_actions(frm);
		add_views(frm);
	},
});

function add_actions(frm) {
	if (frm.doc.status === "Conflict" && frm.doc.payload && integration_hub.may_act()) {
		frm.add_custom_button(__("Handle as a New Event"), () => handle_conflict(frm));
	}
	const replayable = !["Processing", "Conflict"].includes(frm.doc.status) && frm.doc.payload;
	if (!replayable || !integration_hub.may_act()) return;
	const names = [frm.doc.name];
	const again = () => frm.reload_doc();
	frm.add_custom_button(__("Replay"), async () => {
		await integration_hub.replay(names);
		again();
	});
	frm.add_custom_button(__("Dry-Run Replay"), () => integration_hub.dry_run_replay(names, again));
}

function handle_conflict(frm) {
	const text = frm.doc.error
		? __("It waits for a person. Handle it, as its headers say?") + `<br><br>${frappe.utils.escape_html(frm.doc.error)}`
		: __("It came under the ID of an event that was there before, with another body. Handle it as well, as an event of its own?");
	frappe.confirm(text, async () => {
		const count = await integration_hub.call("handle_conflict", { name: frm.doc.name });
		if (count) integration_hub.say(__("The event is handled"));
		else integration_hub.say(__("The event was left as it is"), "orange");
		frm.reload_doc();
	});
}

function add_views(frm) {
	const { doc } = frm;
	const view = (label, open) => frm.add_custom_button(label, open, __("View"));
	if (doc.reference_name) {
		view(__("Document"), () => frappe.set_route("Form", doc.reference_doctype, doc.reference_name));
		view(__("External Records"), () =>
			frappe.set_route("List", "External Record", {
				target_doctype: doc.reference_doctype,
				target_name: doc.reference_name,
			})
		);
	}
	if (doc.error_log) {
		view(__("Failure"), () => frappe.set_route("Form", "Integration Error Log", doc.error_log));
	}
	if (doc.ordering_key) {
		view(__("Events of the Same Key"), () =>
			frappe.set_route("List", "Webhook Log", {
				integration: doc.integration,
				ordering_key: doc.ordering_key,
			})
		);
	}
	view(__("Events with the Same ID"), () =>
		frappe.set_route("List", "Webhook Log", { integration: doc.integration, event_id: doc.event_id })
	);
}
