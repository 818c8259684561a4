frappe.ui.form.on("External Record", {
	refresh(frm) {
		frm.disable_save();
		integration_hub.show_code(frm, "payload", "payload_view");
		if (["Failed", "Dead", "Unidentified"].includes(frm.doc.status) && integration_hub.may_act()) {
			frm.add_custom_button(__("Retry"), async () => {
				const { stream, warnings } = await integration_hub.call("retry_record", { name: frm.doc.name });
				integration_hub.handed(stream, warnings); // it begins with what failed
				await frm.reload_doc(); // it is due now; what changes from here on is what came of it
				integration_hub.follow(frm, integration_hub.RUNS);
			});
		}
		add_views(frm);
	},
});

function add_views(frm) {
	const { doc } = frm;
	const view = (label, ...route) => frm.add_custom_button(label, () => frappe.set_route(...route), __("View"));
	if (doc.target_name && frm.doc.__onload?.document_exists) {
		view(__("Document"), "Form", doc.target_doctype, doc.target_name);
	}
	const { made_by, changed_by } = doc.__onload?.origins || {};
	if (made_by) view(__("First Written By"), "Form", made_by, doc.made_by);
	if (changed_by) view(__("Last Written By"), "Form", changed_by, doc.changed_by);
	if (doc.missing_run && doc.missing_run !== "kept") view(__("Run That Did Not Find It"), "Form", "Sync Log", doc.missing_run);
	view(__("Failures"), "List", "Integration Error Log", {
		stream: doc.stream,
		external_id: doc.external_id,
	});
}
