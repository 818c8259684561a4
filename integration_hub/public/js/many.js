// Many rows of a list at once: those that are checked, or all that the list's filters find.

function done_and_refused({ done, refused }, said) {
	if (done.length) frappe.show_alert({ message: said(done.length), indicator: "green" });
	const rows = Object.entries(refused || {}).map(
		([name, why]) => `<li><b>${frappe.utils.escape_html(name)}</b>: ${frappe.utils.escape_html(why)}</li>`
	);
	if (rows.length) {
		frappe.msgprint({ title: __("Not Done"), indicator: "orange", message: `<ul class="pl-4">${rows.join("")}</ul>` });
	}
}

// label: what the action is called in the list's menu; question: asked with the number of rows.
function offer_all(list, label, question) {
	if (!frappe.model.can_write("Integration Settings")) return;
	list.page.add_menu_item(label, async () => {
		const args = { doctype: list.doctype, filters: JSON.stringify(list.filter_area.get().map((one) => one.slice(0, 4))) };
		const { message: count } = await frappe.call({
			method: "integration_hub.api.count_to_retry",
			type: "GET",
			args,
			freeze: true,
		});
		if (!count) return frappe.msgprint({ message: __("Nothing in this list can be tried again."), indicator: "gray" });
		frappe.confirm(question(count), async () => {
			const { message: warnings } = await frappe.call("integration_hub.api.retry_matching", args);
			frappe.show_alert({ message: __("A worker tries it; you are told here what became of it"), indicator: "blue" });
			warn_of_workers(warnings);
		});
	});
}
