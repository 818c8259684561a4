// Having many events of an integration handled again: those that failed, or all that came since a time.

function replay_many(frm) {
	const dialog = new frappe.ui.Dialog({
		title: __("Replay Events of {0}", [escaped(frm.doc.name)]),
		fields: [
			{
				fieldname: "failed",
				fieldtype: "Check",
				default: 1,
				label: __("Only Those That Failed"),
				description: __("Failed, Dead and Unrouted ones. Otherwise those that went well are handled again as well."),
			},
			{
				fieldname: "since",
				fieldtype: "Datetime",
				label: __("Received Since"),
				mandatory_depends_on: "eval:!doc.failed",
				description: __("Empty: whenever they came."),
			},
		],
		primary_action_label: __("Replay"),
		primary_action: ({ failed, since }) => {
			if (!failed && !since) frappe.throw(__("Name a time, or choose those that failed."));
			dialog.hide();
			frappe.confirm(replay_question(frm, failed, since), () => replay_now(frm, failed, since));
		},
	});
	dialog.show();
}

function replay_question(frm, failed, since) {
	const name = escaped(frm.doc.name).bold();
	const time = since && escaped(frappe.datetime.str_to_user(since));
	if (failed && since) return __("Handle all events of {0} again that failed and came since {1}?", [name, time]);
	if (failed) return __("Handle all events of {0} again that failed?", [name]);
	return __("Handle all events of {0} again that came since {1}, also those that went well?", [name, time]);
}

async function replay_now(frm, failed, since) {
	const { message: count } = await frappe.call({
		method: "integration_hub.api.replay_since",
		args: { integration: frm.doc.name, failed: failed ? 1 : 0, since },
		freeze: true,
	});
	const indicator = count ? "blue" : "orange";
	frappe.show_alert({ message: __("{0} events will be handled again", [count]), indicator });
	load_health(frm);
}
