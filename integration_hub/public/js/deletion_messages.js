// What becomes of documents whose records are gone, in the same words on the form of a stream and of a run.

// held: {policy, total: records, go: documents that are deleted or disabled}
function deletion_sentence({ policy, total, go }) {
	const stay = total - go;
	const kept = stay ? " " + __("{0} stay.", [stay]) : "";
	if (policy === "Delete") return (go === 1 ? __("1 document will be deleted.") : __("{0} documents will be deleted.", [go])) + kept;
	if (policy === "Disable") return (go === 1 ? __("1 document will be disabled.") : __("{0} documents will be disabled.", [go])) + kept;
	return total === 1
		? __("This document stays; it is only no longer linked to the source.")
		: __("These {0} documents stay; they are only no longer linked to the source.", [total]);
}

function deletion_label({ policy, go }) {
	if (policy === "Delete" && go) return go === 1 ? __("Delete 1 Document") : __("Delete {0} Documents", [go]);
	if (policy === "Disable" && go) return go === 1 ? __("Disable 1 Document") : __("Disable {0} Documents", [go]);
	return __("Approve");
}

// doc: {target_name, adopted}
function deletion_fate({ policy }, doc) {
	if (!doc.target_name) return __("No document");
	if (policy === "Disable") return __("Disable");
	if (policy !== "Delete") return __("Stays");
	return doc.adopted ? __("Stays: this stream did not create it") : __("Delete");
}
