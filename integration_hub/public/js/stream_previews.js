// Looking at a source before anything is written: Preview and Dry Run; and what an approval would remove.

async function ask(frm, method) {
	if (!(await saved(frm))) return null;
	const { message } = await frappe.call({
		method: `integration_hub.api.${method}`,
		args: { stream: frm.doc.name },
		freeze: true,
		freeze_message: __("Reading from the source"),
	});
	return message;
}

async function preview(frm) {
	const records = await ask(frm, "preview");
	if (!records) return;
	const met = new Set(records.flatMap((record) => Object.keys(record.values)));
	const mapped = frm.doc.mapping.map((row) => row.field.split(".")[0]);
	const fields = [...new Set([...mapped, ...met])].filter((field) => met.has(field)); // in the order of the mapping
	const width = fields.length;
	const rows = records.map((record) => {
		if (record.error) return [record.external_id, wide(width, "text-danger", record.error)];
		if (record.deleted) return [record.external_id, wide(width, "text-muted", __("Deleted in the source"))];
		return [record.external_id, ...fields.map((field) => as_rows(frm, field, record.values[field]))];
	});
	const failed = records.filter((record) => record.error).length;
	const lines = [{ text: records.length === 1 ? __("The first record of the source, as it would be written. Nothing was written.") : __("The first {0} records of the source, as they would be written. Nothing was written.", [records.length]) }];
	if (failed) lines.push({ text: __("{0} of them cannot be mapped; see the reason in their row.", [failed]) });
	show_table(__("Preview of {0}", [frm.doc.name]), [__("ID"), ...fields.map((f) => field_label(frm, f))], rows, lines);
}

// Rows of a child table as rows, in the order of the mapping.
function as_rows(frm, field, value) {
	if (!Array.isArray(value) || !value.every((row) => row && typeof row === "object")) return value;
	const met = new Set(value.flatMap((row) => Object.keys(row)));
	const mapped = frm.doc.mapping.map((row) => row.field.split(".")).filter(([table]) => table === field);
	const columns = [...new Set([...mapped.map(([, child]) => child), ...met])].filter((child) => met.has(child));
	const table_doctype = frappe.meta.get_docfield(frm.doc.target_doctype, field)?.options;
	const label = (child) => __(frappe.meta.get_docfield(table_doctype, child)?.label || child);
	return { html: value.length ? table(columns.map(label), value.map((row) => columns.map((child) => row[child]))) : "" };
}

function wide(columns, css, text) {
	return { html: `<div class="${css}" style="min-width: ${Math.min(columns, 3) * 80}px">${escaped(text)}</div>` };
}

function field_label(frm, fieldname) {
	const df = frappe.meta.get_docfield(frm.doc.target_doctype, fieldname);
	return df?.label ? __(df.label) : fieldname;
}

async function dry_run(frm) {
	const found = await ask(frm, "dry_run");
	if (!found) return;
	const { counts } = found;
	const actions = {
		create: ["green", __("Create")],
		update: ["blue", __("Update")],
		delete: ["red", __("Delete")],
		disable: ["orange", __("Disable")],
		cancel: ["red", __("Cancel")],
		keep: ["gray", __("Keep")],
		fail: ["red", __("Fail")],
	};
	const pill = (action) => ({
		html: `<span class="indicator-pill no-indicator-dot ${actions[action][0]}" style="white-space: nowrap">${actions[action][1]}</span>`,
	});
	const nothing = { html: "" };
	const rows = found.sample.flatMap((one) => {
		const changes = Object.entries(one.changes);
		const document = one.name
			? { html: `<a href="${frappe.utils.get_form_link(frm.doc.target_doctype, one.name)}">${escaped(one.name)}</a>` }
			: nothing;
		const said = one.error ? wide(3, "text-danger", one.error) : one.doubt ? wide(3, "text-warning", one.doubt) : nothing;
		if (!changes.length) return [[pill(one.action), one.external_id, document, nothing, said, nothing]];
		const doubt = one.doubt ? [[nothing, nothing, nothing, nothing, said, nothing]] : [];
		return changes.map(([field, [before, after]], n) => [
			n ? nothing : pill(one.action),
			n ? nothing : one.external_id,
			n ? nothing : document,
			field_label(frm, field),
			of_field(frm.doc.target_doctype, field, before),
			of_field(frm.doc.target_doctype, field, after),
		]).concat(doubt);
	});
	const gone = counts.deleted + found.orphans;
	const fates = {
		Delete: __("{0} deleted", [gone]),
		Disable: __("{0} disabled", [gone]),
		Cancel: __("{0} cancelled", [gone]),
		Keep: __("{0} kept that are no longer in the source", [gone]),
	};
	const summary = [
		__("{0} would be created", [counts.created]),
		__("{0} updated", [counts.updated]),
		fates[frm.doc.deletion_policy],
		__("{0} fail", [counts.failed]),
		__("{0} are unchanged", [counts.unchanged]),
	].join(", ");
	const touched = counts.created + counts.updated + gone + counts.failed;
	const lines = [{ text: summary }, ...found.notes.map((text) => ({ text }))];
	if (found.sample.length < touched) {
		lines.push({ text: __("{0} of {1} records are shown.", [found.sample.length, touched]) });
	}
	const head = [__("Action"), __("ID"), __("Document"), __("Field"), __("Now"), __("Then")];
	show_table(__("Dry Run of {0}", [frm.doc.name]), head, rows, lines);
}

async function show_deletions(frm) {
	const { message: held } = await frappe.call({
		method: "integration_hub.api.held_deletions",
		type: "GET",
		args: { stream: frm.doc.name },
	});
	const rows = held.rows.map((row) => [
		row.external_id,
		row.target_name ? { html: held_link(held.doctype, row) } : null,
		deletion_fate(held, row),
	]);
	const gone = held.total === 1 ? __("1 record is no longer in the source.") : __("{0} records are no longer in the source.", [held.total]);
	const lines = [{ text: `${gone} ${deletion_sentence(held)}` }];
	if (held.rows.length < held.total) lines.push({ text: __("The first {0} are shown.", [held.rows.length]) });
	const dialog = show_table(__("Deletions Waiting for Approval"), [__("ID"), __(held.doctype), __("Result")], rows, lines);
	dialog.set_primary_action(deletion_label(held), async () => {
		dialog.hide();
		const { message: warnings } = await frappe.call("integration_hub.api.approve_deletions", {
			sync_log: held.sync_log,
		});
		handed_over(frm, warnings);
	});
	dialog.get_primary_btn().removeClass("btn-primary").addClass("btn-danger");
	offer_to_keep(dialog, held.sync_log, () => frm.reload_doc());
}
