// What becomes of documents whose records are gone, in the same words on the form of a stream and of a run.

// held: {policy, total: records, go: documents that are deleted, cancelled or disabled}
function deletion_sentence({ policy, total, go }) {
	const stay = total - go;
	const kept = stay ? " " + __("{0} stay.", [stay]) : "";
	if (policy === "Delete") return (go === 1 ? __("1 document will be deleted.") : __("{0} documents will be deleted.", [go])) + kept;
	if (policy === "Disable") return (go === 1 ? __("1 document will be disabled.") : __("{0} documents will be disabled.", [go])) + kept;
	if (policy === "Cancel") return (go === 1 ? __("1 document will be cancelled, if it is submitted.") : __("{0} documents will be cancelled, if they are submitted.", [go])) + kept;
	return total === 1
		? __("This document stays; it is only no longer linked to the source.")
		: __("These {0} documents stay; they are only no longer linked to the source.", [total]);
}

function deletion_label({ policy, go }) {
	if (policy === "Delete" && go) return go === 1 ? __("Delete 1 Document") : __("Delete {0} Documents", [go]);
	if (policy === "Disable" && go) return go === 1 ? __("Disable 1 Document") : __("Disable {0} Documents", [go]);
	if (policy === "Cancel" && go) return go === 1 ? __("Cancel 1 Document") : __("Cancel {0} Documents", [go]);
	return __("Approve");
}

// doc: {target_name, adopted}
function deletion_fate({ policy }, doc) {
	if (!doc.target_name) return __("No document");
	if (policy === "Disable") return __("Disable");
	if (!["Delete", "Cancel"].includes(policy)) return __("Stays");
	if (doc.adopted) return __("Stays: this stream did not create it");
	return policy === "Delete" ? __("Delete") : __("Cancel if Submitted");
}

// A document that waits to be removed, by its title, where it has one that the user may read.
function held_link(doctype, doc) {
	const text = frappe.utils.escape_html(doc.title || doc.target_name);
	const name = doc.title && doc.title !== doc.target_name ? ` <span class="text-muted small">${frappe.utils.escape_html(doc.target_name)}</span>` : "";
	return `<a href="${frappe.utils.get_form_link(doctype, doc.target_name)}">${text}</a>${name}`;
}

function offer_to_keep(dialog, sync_log, after) {
	dialog.set_secondary_action_label(__("Keep These"));
	dialog.set_secondary_action(async () => {
		const { message: count } = await frappe.call({ method: "integration_hub.api.keep_deletions", args: { sync_log }, freeze: true });
		dialog.hide();
		const said = count === 1 ? __("1 document is kept, and not asked about again") : __("{0} documents are kept, and not asked about again", [count]);
		frappe.show_alert({ message: said, indicator: "green" });
		after();
	});
}
