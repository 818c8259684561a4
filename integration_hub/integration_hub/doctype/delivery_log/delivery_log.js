frappe.ui.form.on("Delivery Log", {
	refresh(frm) {
		frm.disable_save();
		integration_hub.show_code(frm, "request", "request_view");
		integration_hub.show_code(frm, "response", "response_view");
		show_delivery_attempts(frm);
		add_delivery_actions(frm);
	},
});

function show_delivery_attempts(frm) {
	const colors = { Delivered: "green", Unchanged: "gray", Failed: "orange", Deferred: "blue" };
	const rows = (frm.doc.__onload?.attempts || []).map((one) => [
		frappe.datetime.str_to_user(one.at),
		one.seconds === null ? "–" : __("{0} s", [one.seconds.toFixed(3)]),
		{
			html: `<span class="indicator-pill ${colors[one.outcome] || "red"}" style="white-space: nowrap">
				${frappe.utils.escape_html(__(one.outcome))}</span>`,
		},
		one.route,
		one.error,
	]);
	const head = [__("Time"), __("Duration"), __("Outcome"), __("Request"), __("Error")];
	integration_hub.table(frm.fields_dict.attempts_view.$wrapper, head, rows.reverse());
}

function add_delivery_actions(frm) {
	const { doc } = frm;
	if (doc.document) {
		frm.add_custom_button(__("Document"), () => frappe.set_route("Form", doc.reference_doctype, doc.document), __("View"));
	}
	if (doc.error_log) {
		frm.add_custom_button(__("Failure"), () => frappe.set_route("Form", "Integration Error Log", doc.error_log), __("View"));
	}
	if (doc.status === "Sending" || !integration_hub.may_act()) return;
	const again = async (method) => {
		const count = await integration_hub.call(method, { names: [doc.name] });
		integration_hub.say(count ? __("The delivery will be sent again") : __("The delivery was not changed"));
		await frm.reload_doc();
	};
	frm.add_custom_button(__("Replay"), () => again("replay_deliveries"));
	frm.add_custom_button(__("Dry Run"), () => dry_run_delivery(frm));
	if (doc.status === "Conflict" && doc.operation === "Delete") {
		frm.add_custom_button(__("Approve Deletion"), () =>
			frappe.confirm(__("Delete the record in the external system?"), () => again("approve_deliveries"))
		);
	}
}

async function dry_run_delivery(frm) {
	const found = await integration_hub.call("preview_delivery", { name: frm.doc.name }, __("Trying it out"));
	const dialog = new frappe.ui.Dialog({ title: __("Dry Run"), size: "large" });
	const text = (value) => (value === undefined ? "–" : JSON.stringify(value, null, 1));
	const $rows = $("<div>");
	const rows = found.changed.map((name) => [name, text(found.last[name]), text(found.now[name])]);
	integration_hub.table($rows, [__("Field"), __("Sent Last"), __("Now")], rows);
	dialog.$body.append($("<p>").text(found.does), $rows);
	dialog.show();
}
