// Having many events of an integration handled again: those that failed, or all that came since a time.

function replay_many(frm) {
	const dialog = new frappe.ui.Dialog({
		title: __("Replay Events of {0}", [escaped(frm.doc.name)]),
		fields: [
			{
				fieldname: "failed",
				fieldtype: "Check",
				default: 1,
				label: __("Only Failed Events"),
				description: __("Failed, Dead and Unrouted events. Otherwise events that succeeded are handled again, too."),
			},
			{
				fieldname: "since",
				fieldtype: "Datetime",
				label: __("Received Since"),
				mandatory_depends_on: "eval:!doc.failed",
				description: __("Leave empty for events of any time."),
			},
		],
		primary_action_label: __("Replay"),
		primary_action: ({ failed, since }) => {
			if (!failed && !since) frappe.throw(__("Enter a time, or choose failed events only."));
			dialog.hide();
			frappe.confirm(replay_question(frm, failed, since), () => replay_now(frm, failed, since));
		},
	});
	dialog.show();
}

function replay_question(frm, failed, since) {
	const name = escaped(frm.doc.name).bold();
	const time = since && escaped(frappe.datetime.str_to_user(since));
	if (failed && since) return __("Handle again all events of {0} that failed and were received since {1}?", [name, time]);
	if (failed) return __("Handle again all events of {0} that failed?", [name]);
	return __("Handle again all events of {0} that were received since {1}, including those that succeeded?", [name, time]);
}

async function replay_now(frm, failed, since) {
	const { message: count } = await frappe.call({
		method: "integration_hub.api.replay_since",
		args: { integration: frm.doc.name, failed: failed ? 1 : 0, since },
		freeze: true,
	});
	const indicator = count ? "blue" : "orange";
	frappe.show_alert({ message: count === 1 ? __("1 event will be handled again") : __("{0} events will be handled again", [count]), indicator });
	load_health(frm);
}
