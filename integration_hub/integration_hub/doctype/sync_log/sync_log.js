{% include "integration_hub/public/js/deletion_messages.js" %}
{% include "integration_hub/public/js/outcome.js" %}

frappe.ui.form.on("Sync Log", {
	refresh(frm) {
		frm.disable_save();
		frm.set_df_property("outcome", "formatter", (outcome) => frappe.utils.escape_html(outcome_text(outcome)));
		add_views(frm);
		if (!integration_hub.may_act()) return;
		if (frm.doc.status === "Needs Approval") offer_approval(frm);
		else if (!["Running", "Completed"].includes(frm.doc.status)) offer_again(frm);
	},
});

function add_views(frm) {
	const view = (label, doctype, filters) =>
		frm.add_custom_button(label, () => frappe.set_route("List", doctype, filters), __("View"));
	view(__("Records Last Written by This Run"), "External Record", { changed_by: frm.doc.name });
	view(__("Failed Records"), "External Record", { stream: frm.doc.stream, status: ["in", ["Failed", "Dead", "Unidentified"]] });
	view(__("Failures"), "Integration Error Log", { stream: frm.doc.stream, status: "Open" });
	view(__("Other Runs"), "Sync Log", { stream: frm.doc.stream });
}

// A removal that failed is approved again where it waits: on the run that holds it.
function offer_again(frm) {
	if (frm.doc.mode === "Approval") return;
	const again = frm.doc.mode === "Backfill" ? ["backfill_again", { sync_log: frm.doc.name }] : ["sync_now", { stream: frm.doc.stream }];
	frm.add_custom_button(__("Run Again"), async () => {
		const { stream } = frm.doc;
		integration_hub.handed(stream, await integration_hub.call(...again));
		frappe.set_route("List", "Sync Log", { stream });
	});
}

function offer_approval(frm) {
	frm.dashboard.set_headline(
		frm.doc.to_delete === 1
			? __("The source no longer has 1 record that this stream created. Nothing was removed yet.")
			: __("The source no longer has {0} records that this stream created. Nothing was removed yet.", [frm.doc.to_delete])
	);
	frm.add_custom_button(__("Approve Deletions"), () => approve(frm)).addClass("btn-danger");
}

async function approve(frm) {
	const { message: held } = await frappe.call({
		method: "integration_hub.api.held_documents",
		type: "GET",
		args: { sync_log: frm.doc.name },
	});
	const dialog = new frappe.ui.Dialog({
		title: __("Approve Deletions"),
		size: "large",
		primary_action_label: deletion_label(held),
		primary_action: async () => {
			dialog.hide();
			const warnings = await integration_hub.call("approve_deletions", { sync_log: frm.doc.name });
			integration_hub.handed(frm.doc.stream, warnings);
			frappe.set_route("List", "Sync Log", { stream: frm.doc.stream });
		},
	});
	dialog.get_primary_btn().removeClass("btn-primary").addClass("btn-danger");
	offer_to_keep(dialog, frm.doc.name, () => frm.reload_doc());
	dialog.$body.append(`<p>${deletion_sentence(held)}</p>${documents_table(held)}`);
	if (held.total > held.documents.length) {
		const filters = { missing_run: frm.doc.name };
		$(`<a role="button">${__("See all {0}", [held.total])}</a>`)
			.on("click", () => {
				dialog.hide();
				frappe.set_route("List", "External Record", filters);
			})
			.appendTo(dialog.$body);
	}
	dialog.show();
}

function documents_table(held) {
	const escape = frappe.utils.escape_html;
	const row = (doc) => {
		const link = doc.target_name ? held_link(doc.target_doctype, doc) : "–";
		return `<tr><td>${link}</td><td>${escape(doc.external_id)}</td><td>${deletion_fate(held, doc)}</td></tr>`;
	};
	return `<div class="table-responsive" style="max-height: 50vh; overflow: auto">
		<table class="table table-bordered small"><thead><tr>
		<th>${__("Document")}</th><th>${__("External ID")}</th><th>${__("Result")}</th></tr></thead>
		<tbody>${held.documents.map(row).join("")}</tbody></table></div>`;
}
