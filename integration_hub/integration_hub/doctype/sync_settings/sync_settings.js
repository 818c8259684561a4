{% include "integration_hub/public/js/save_first.js" %}
{% include "integration_hub/public/js/tour_end.js" %}
{% include "integration_hub/public/js/cells.js" %}
{% include "integration_hub/public/js/job_queued.js" %}
{% include "integration_hub/public/js/run_progress.js" %}
{% include "integration_hub/public/js/stream_runs.js" %}
{% include "integration_hub/public/js/outcome.js" %}
{% include "integration_hub/public/js/deletion_messages.js" %}
{% include "integration_hub/public/js/stream_previews.js" %}
{% include "integration_hub/public/js/stream_source.js" %}
{% include "integration_hub/public/js/stream_direction.js" %}
{% include "integration_hub/public/js/stream_sending.js" %}

frappe.ui.form.on("Sync Settings", {
	onload: stay_after_tour,
	refresh(frm) {
		show_as_it_is(frm);
		forget_others(frm);
		set_field_choices(frm);
		show_off(frm);
		hide_unused(frm);
		show_sending(frm);
		show_source_tools(frm);
		show_direction(frm);
		if (frm.is_new()) return;
		if (frm.has_perm("write") && !sends(frm)) {
			frm.add_custom_button(__("Sync Now"), () => sync_now(frm));
			frm.add_custom_button(__("Preview"), () => preview(frm), __("Try"));
			frm.add_custom_button(__("Dry Run"), () => dry_run(frm), __("Try"));
			if (frm.doc.mode !== "Cursor") {
				frm.add_custom_button(__("Backfill"), () => backfill(frm), __("Actions"));
			}
			frm.add_custom_button(__("Reset Checkpoint"), () => reset_checkpoint(frm), __("Actions"));
			if (frm.doc.status === "Needs Approval") {
				frm.add_custom_button(__("Approve Deletions"), () => show_deletions(frm), __("Actions"));
			}
		}
		for (const [label, doctype] of [
			sends(frm) ? [__("Deliveries"), "Delivery Log"] : [__("Runs"), "Sync Log"],
			[__("Records"), "External Record"],
			[__("Failures"), "Integration Error Log"],
		]) {
			frm.add_custom_button(
				label,
				() => frappe.set_route("List", doctype, { stream: frm.doc.name }),
				__("View")
			);
		}
		load_runs(frm);
		watch_form(frm);
	},
	target_doctype: set_field_choices,
	direction: show_direction,
	integration(frm) {
		hide_unused(frm, true);
	},
});

// Frappe shows the value of a choice translated: of a field's name, "email" as "E-Mail". An outcome it does not translate.
function show_as_it_is(frm) {
	for (const field of ["match_field", "disable_field"]) frm.set_df_property(field, "formatter", escaped);
	for (const field of ["source_path", "field"]) frm.fields_dict.mapping.grid.update_docfield_property(field, "formatter", escaped);
	frm.set_df_property("last_outcome", "formatter", (outcome) => escaped(outcome_text(outcome)));
}

async function set_field_choices(frm) {
	if (!frm.doc.target_doctype) return;
	await frappe.model.with_doctype(frm.doc.target_doctype);
	const fields = choices(frm.doc.target_doctype);
	const tables = frappe.get_meta(frm.doc.target_doctype).fields.filter((df) => df.fieldtype === "Table");
	const rows = tables.flatMap((df) => [
		choice(df),
		...choices(df.options).map(({ value, label }) => ({
			value: `${df.fieldname}.${value}`,
			label: `${df.fieldname}.${label}`,
		})),
	]);
	frm.fields_dict.mapping.grid.update_docfield_property("field", "options", [...fields, ...rows]);
	for (const field of ["match_field", "disable_field"]) {
		frm.set_df_property(field, "options", fields);
		frm.fields_dict[field].set_data?.(fields); // v15 reads the options only once
	}
}

function choices(doctype) {
	const meta = frappe.get_meta(doctype); // a child table's comes with its parent's
	return meta
		? meta.fields.filter((df) => !frappe.model.no_value_type.includes(df.fieldtype)).map(choice)
		: [];
}

function choice(df) {
	return { value: df.fieldname, label: `${df.fieldname} (${__(df.label || "")})` };
}

function backfill(frm) {
	const note =
		frm.doc.mode === "Full"
			? __("What changed in this time is fetched, asked for by {0}. Nothing is removed.", [
					frm.doc.changed_since_param || "modified_since",
			  ])
			: __("What changed in this time is fetched again. The checkpoint stays where it is.");
	const dialog = new frappe.ui.Dialog({
		title: __("Backfill {0}", [frm.doc.name]),
		fields: [
			{ fieldname: "since", fieldtype: "Datetime", label: __("From"), reqd: 1 },
			{ fieldname: "until", fieldtype: "Datetime", label: __("Until"), description: __("Empty: until now.") },
			{ fieldtype: "HTML", options: `<p class="text-muted">${escaped(note)}</p>` },
		],
		primary_action_label: __("Fetch"),
		primary_action: async (values) => {
			if (values.until && values.until < values.since) {
				frappe.throw(__("Until is before From."));
			}
			dialog.hide();
			const { message: warnings } = await frappe.call("integration_hub.api.backfill", {
				stream: frm.doc.name,
				...values,
			});
			handed_over(frm, warnings);
		},
	});
	dialog.show();
}

// Fields that say nothing to the integration's connector. fill: what its streams have usually is put into the others.
async function hide_unused(frm, fill = false) {
	const known = frappe.boot.integration_hub;
	if (!known) return;
	const { integration, name } = frm.doc;
	const found = integration && (await frappe.db.get_value("Integration Settings", integration, "connector"));
	if (frm.doc.integration !== integration || frm.doc.name !== name) return;
	const connector = found?.message?.connector;
	const unused = known.unused[connector] || [];
	for (const field of new Set(Object.values(known.unused).flat())) {
		frm.set_df_property(field, "hidden", unused.includes(field) ? 1 : 0);
	}
	if (!fill || !frm.is_new()) return;
	for (const [field, value] of Object.entries(known.usual[connector] || {})) {
		if (!frm.doc[field] || (field === "id_path" && frm.doc[field] === "id")) frm.set_value(field, value);
	}
}

// A new stream is off, so that nothing of it runs while it is being set up.
function show_off(frm) {
	const off = !frm.is_new() && !frm.doc.enabled;
	frm.set_intro(""); // else a second one stands below the first
	const how = sends(frm) ? __("This stream is off. Enabled switches it on.") : __("This stream is off. Sync Now runs it and switches it on.");
	if (off) frm.set_intro(how, "blue");
}

async function sync_now(frm) {
	if (!(await saved(frm))) return;
	if (!frm.doc.enabled && frm.doc.last_run_at && !(await may_switch_on(frm))) return;
	const { message: warnings } = await frappe.call("integration_hub.api.sync_now", {
		stream: frm.doc.name,
		switch_on: !frm.doc.enabled,
	});
	handed_over(frm, warnings);
	if (!frm.doc.enabled) frm.reload_doc();
}

// Somebody has switched it off.
function may_switch_on(frm) {
	return new Promise((resolve) => {
		frappe.confirm(
			__("{0} was switched off. Sync Now runs it and switches it on: it runs on its schedule again. Go on?", [
				escaped(frm.doc.name).bold(),
			]),
			() => resolve(true),
			() => resolve(false)
		);
	});
}

// A worker has it: from now on the form looks out for the run.
function handed_over(frm, warnings) {
	frm.hub_waits = Date.now();
	handed(frm.doc.name, warnings);
}

function reset_checkpoint(frm) {
	frappe.confirm(
		__("The next run of {0} starts from the beginning; the checkpoint is {1} now. Nothing is duplicated. Continue?", [
			escaped(frm.doc.name).bold(),
			`<code>${escaped(frm.doc.checkpoint || "–")}</code>`,
		]),
		async () => {
			await frappe.call("integration_hub.api.reset_checkpoint", { stream: frm.doc.name });
			frm.reload_doc();
		}
	);
}
