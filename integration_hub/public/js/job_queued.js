// What was handed to a worker, and what may keep it from being done.

function handed(what, warnings) {
	const name = frappe.utils.escape_html(what);
	frappe.show_alert({ message: __("{0} is queued for a worker", [name]), indicator: "blue" });
	warn_of_workers(warnings);
}

function warn_of_workers(warnings) {
	if (!warnings?.length) return;
	frappe.msgprint({
		title: __("Nothing May Happen Yet"),
		indicator: "red",
		message: warnings.map((text) => `<p>${frappe.utils.escape_html(text)}</p>`).join(""),
	});
}
