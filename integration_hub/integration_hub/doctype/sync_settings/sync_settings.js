frappe.ui.form.on("Sync Settings", {
	refresh(frm) {
		set_field_choices(frm);
		if (frm.is_new()) return;
		if (frm.has_perm("write")) {
			frm.add_custom_button(__("Sync Now"), () => sync_now(frm));
			frm.add_custom_button(__("Preview"), () => preview(frm), __("Try"));
			frm.add_custom_button(__("Dry Run"), () => dry_run(frm), __("Try"));
			if (frm.doc.mode !== "Cursor") {
				frm.add_custom_button(__("Backfill"), () => backfill(frm), __("Actions"));
			}
			frm.add_custom_button(__("Reset Checkpoint"), () => reset_checkpoint(frm), __("Actions"));
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
	const fields = choices(frm.doc.target_doctype);
	const tables = frappe.get_meta(frm.doc.target_doctype).fields.filter((df) => df.fieldtype === "Table");
	const rows = tables.flatMap((df) => [
		choice(df),
		...choices(df.options).map((child) => ({ ...child, value: `${df.fieldname}.${child.value}` })),
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

async function ask(frm, method) {
	if (frm.is_dirty()) await frm.save();
	const { message } = await frappe.call({
		method: `integration_hub.api.${method}`,
		args: { stream: frm.doc.name },
		freeze: true,
		freeze_message: __("Asking the source"),
	});
	return message;
}

async function preview(frm) {
	const records = await ask(frm, "preview");
	const fields = [...new Set(records.flatMap((record) => Object.keys(record.values)))];
	const rows = records.map((record) => [
		record.external_id,
		...(record.error
			? [record.error]
			: fields.map((field) => (record.deleted ? __("deleted") : record.values[field]))),
	]);
	show_table(__("Preview of {0}", [frm.doc.name]), [__("ID"), ...fields], rows);
}

async function dry_run(frm) {
	const found = await ask(frm, "dry_run");
	const { counts } = found;
	const actions = {
		create: __("Create"),
		update: __("Update"),
		delete: __("Delete"),
		disable: __("Disable"),
		keep: __("Keep"),
		fail: __("Fail"),
	};
	const rows = found.sample.flatMap((one) => {
		const changes = Object.entries(one.changes);
		if (!changes.length) return [[actions[one.action], one.external_id, "", one.error, ""]];
		return changes.map(([field, [before, after]], n) => [
			n ? "" : actions[one.action],
			n ? "" : one.external_id,
			field,
			before,
			after,
		]);
	});
	const summary = __("{0} would be created, {1} updated, {2} deleted, {3} fail, {4} are unchanged", [
		counts.created,
		counts.updated,
		counts.deleted + found.orphans,
		counts.failed,
		counts.unchanged,
	]);
	const head = [__("Action"), __("ID"), __("Field"), __("Now"), __("Then")];
	show_table(__("Dry Run of {0}", [frm.doc.name]), head, rows, [summary, ...found.notes]);
}

function show_table(title, head, rows, lines = []) {
	const cell = (value) => {
		const text = typeof value === "object" && value !== null ? JSON.stringify(value) : value ?? "";
		return frappe.utils.escape_html(String(text));
	};
	const line = (tag, values) => `<tr>${values.map((v) => `<${tag}>${cell(v)}</${tag}>`).join("")}</tr>`;
	const body = rows.length
		? `<div class="table-responsive"><table class="table table-bordered small">
			<thead>${line("th", head)}</thead>
			<tbody>${rows.map((row) => line("td", row)).join("")}</tbody></table></div>`
		: `<p class="text-muted">${__("Nothing to show.")}</p>`;
	const dialog = new frappe.ui.Dialog({ title, size: "extra-large" });
	dialog.$body.append(lines.map((text) => `<p>${cell(text)}</p>`).join("") + body);
	dialog.show();
}

function backfill(frm) {
	const dialog = new frappe.ui.Dialog({
		title: __("Backfill"),
		fields: [
			{ fieldname: "since", fieldtype: "Datetime", label: __("From"), reqd: 1 },
			{ fieldname: "until", fieldtype: "Datetime", label: __("Until") },
			{
				fieldtype: "HTML",
				options: `<p class="text-muted">${__("What changed in this time is fetched again. The checkpoint stays where it is.")}</p>`,
			},
		],
		primary_action_label: __("Fetch"),
		primary_action: async (values) => {
			dialog.hide();
			await frappe.call("integration_hub.api.backfill", { stream: frm.doc.name, ...values });
			frappe.show_alert({ message: __("{0} was handed to a worker", [frm.doc.name]), indicator: "blue" });
		},
	});
	dialog.show();
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
		if (run.status !== "Running" && !frm.is_dirty()) return frm.reload_doc();
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
