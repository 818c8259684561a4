import "./chart_legend.js";

// On every form: a link to what its document stands for elsewhere. It comes with the timeline, and costs no call.

const COLORS = { Bound: "green", Failed: "red", Deleted: "gray" };

$(document).on("form-refresh", (event, frm) => {
	if (!frm || frm.is_new()) return;
	const entries = frm.get_docinfo?.()?.additional_timeline_content || [];
	for (const { external_record: bound } of entries) {
		if (bound) frm.dashboard.add_indicator(record_link(bound), COLORS[bound.status] || "blue");
	}
});

// In Arabic, a path stands in its own direction: "/v1/customers", and not "v1/customers/".
function keep_directions(frm) {
	const places = ["input", "textarea", ".control-value"].map((what) => `[data-page-route="${frm.doctype}"] ${what}`);
	frappe.dom.set_style(`${places.join(", ")} { unicode-bidi: plaintext; text-align: right; }`, `hub-rtl-${frappe.scrub(frm.doctype)}`);
}

// Frappe looks for the translation of a description to which it has added the time zone, and finds none.
$(document).on("form-refresh", (event, frm) => {
	if (frm?.meta?.module !== "Integration Hub") return;
	if (frappe.utils.is_rtl()) keep_directions(frm);
	for (const field of frm.fields) {
		if (field.df.fieldtype !== "Datetime" || !field.df.description) continue;
		const [text, ...more] = field.df.description.split("<br>");
		field.df.description = [__(text), ...more].join("<br>");
		field.set_description?.();
	}
});

// The onboarding's link: a small CRM to try things against, and the form filled in for it. Heard on the way down: on the
// way up Frappe's router is first, and looks for a page of that name.
const SANDBOX_LINK = "a[href$='#hub-start-sandbox']";
document.addEventListener(
	"click",
	(event) => {
		if (!event.target.closest?.(SANDBOX_LINK)) return;
		event.preventDefault();
		event.stopPropagation();
		start_sandbox();
	},
	true
);

async function start_sandbox() {
	const { message: values } = await frappe.call({
		method: "integration_hub.api.start_sandbox",
		freeze: true,
		freeze_message: __("Starting the sandbox"),
	});
	if (await frappe.db.exists("Integration Settings", values.integration_name)) {
		return frappe.set_route("Form", "Integration Settings", values.integration_name);
	}
	await frappe.model.with_doctype("Integration Settings");
	const doc = frappe.model.get_new_doc("Integration Settings");
	Object.assign(doc, values);
	await frappe.set_route("Form", "Integration Settings", doc.name);
	frappe.show_alert({ message: __("The sandbox answers for an hour. Save, then Test Connection."), indicator: "green" });
}

function record_link({ name, external_id, stream }) {
	const href = frappe.utils.get_form_link("External Record", name);
	const text = frappe.utils.escape_html(__("{0} of {1}", [external_id, stream]));
	return `<a href="${href}" class="hub-external-record" title="${__("External Record")}">${text}</a>`;
}
