frappe.ui.form.on("Sync Settings", {
	refresh(frm) {
		set_field_choices(frm);
		if (frm.is_new()) return;
		if (frm.has_perm("write")) {
			frm.add_custom_button(__("Sync Now"), () => sync_now(frm));
			frm.add_custom_button(__("Reset Checkpoint"), () => reset_checkpoint(frm));
		}
		for (const [label, doctype] of [
			[__("Runs"), "Sync Log"],
			[__("Records"), "External Record"],
			[__("Errors"), "Integration Error Log"],
		]) {
			frm.add_custom_button(
				label,
				() => frappe.set_route("List", doctype, { stream: frm.doc.name }),
				__("View")
			);
		}
		watch_progress(frm);
	},
	target_doctype: set_field_choices,
});

async function set_field_choices(frm) {
	if (!frm.doc.target_doctype) return;
	await frappe.model.with_doctype(frm.doc.target_doctype);
	const fields = frappe
		.get_meta(frm.doc.target_doctype)
		.fields.filter((df) => !frappe.model.no_value_type.includes(df.fieldtype))
		.map((df) => ({ value: df.fieldname, label: `${df.fieldname} (${__(df.label || "")})` }));
	frm.fields_dict.mapping.grid.update_docfield_property("field", "options", fields);
	for (const field of ["match_field", "disable_field"]) {
		frm.set_df_property(field, "options", fields);
		frm.fields_dict[field].set_data?.(fields); // v15 reads the options only once
	}
}

async function sync_now(frm) {
	if (frm.is_dirty()) await frm.save();
	await frappe.call("integration_hub.api.sync_now", { stream: frm.doc.name });
	frappe.show_alert({ message: __("{0} was handed to a worker", [frm.doc.name]), indicator: "blue" });
}

function reset_checkpoint(frm) {
	frappe.confirm(
		__("The next run of {0} begins at the beginning. Nothing is doubled. Go on?", [frm.doc.name.bold()]),
		async () => {
			await frappe.call("integration_hub.api.reset_checkpoint", { stream: frm.doc.name });
			frm.reload_doc();
		}
	);
}

function watch_progress(frm) {
	frappe.realtime.off("integration_hub_sync_progress");
	frappe.realtime.on("integration_hub_sync_progress", (run) => {
		if (run.stream !== frm.doc.name) return;
		const counts = __("{0} fetched, {1} created, {2} updated, {3} deleted, {4} failed", [
			run.fetched,
			run.created,
			run.updated,
			run.deleted,
			run.failed,
		]);
		frm.dashboard.clear_headline();
		frm.dashboard.set_headline(
			`<a href="${frappe.utils.get_form_link("Sync Log", run.run)}">${counts}</a>`
		);
	});
}
