// On every form: a link to what its document stands for elsewhere. It comes with the timeline, and costs no call.

const COLORS = { Bound: "green", Failed: "red", Deleted: "gray" };

$(document).on("form-refresh", (event, frm) => {
	if (!frm || frm.is_new()) return;
	const entries = frm.get_docinfo?.()?.additional_timeline_content || [];
	for (const { external_record: bound } of entries) {
		if (bound) frm.dashboard.add_indicator(record_link(bound), COLORS[bound.status] || "blue");
	}
});

function record_link({ name, external_id, stream }) {
	const href = frappe.utils.get_form_link("External Record", name);
	const text = frappe.utils.escape_html(__("{0} of {1}", [external_id, stream]));
	return `<a href="${href}" class="hub-external-record" title="${__("External Record")}">${text}</a>`;
}
