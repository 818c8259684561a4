// Delete of an integration: what goes with it is said first, and goes in order.

async function delete_all(frm) {
	const integration = frm.doc.name;
	const { message: plan } = await frappe.call({
		method: "integration_hub.api.removal_plan",
		type: "GET",
		args: { integration },
		freeze: true,
	});
	const dialog = new frappe.ui.Dialog({
		title: __("Delete {0}", [integration]),
		primary_action_label: __("Delete"),
		primary_action: async () => {
			dialog.disable_primary_action();
			const { message: warnings } = await frappe.call({
				method: "integration_hub.api.delete_integration",
				args: { integration },
				freeze: true,
			});
			dialog.hide();
			await frappe.set_route("List", frm.doctype); // first: the form would draw a document that is gone
			frappe.model.clear_doc(frm.doctype, integration);
			const said = plan.large
				? __("A worker deletes {0}; you are told when it is done", [escaped(integration)])
				: __("{0} is deleted", [escaped(integration)]);
			frappe.show_alert({ message: said, indicator: "blue" });
			warn_of_workers(warnings);
		},
	});
	dialog.$body.append(removal_html(plan));
	dialog.get_primary_btn().removeClass("btn-primary").addClass("btn-danger");
	if (plan.others.length) dialog.disable_primary_action();
	dialog.show();
}

function removal_html(plan) {
	const rows = [
		[plan.streams.length, __("Streams"), plan.streams.join(", ")],
		[plan.routes, __("Routes"), ""],
		[plan.events, __("Events"), ""],
		[plan.records, __("Records"), __("What links documents to the source; the documents stay.")],
		[plan.runs, __("Runs"), ""],
		[plan.failures, __("Failures"), ""],
	];
	const row = ([count, what, more]) =>
		`<tr><td style="width: 5em; text-align: end">${count}</td><td>${what}${more ? `<div class="text-muted small" style="overflow-wrap: anywhere">${escaped(more)}</div>` : ""}</td></tr>`;
	const others = plan.others.length
		? `<div class="alert alert-danger">${__("Routes of {0} lead to its streams. Remove them first.", [escaped(plan.others.join(", "))])}</div>`
		: "";
	return `<div style="padding: 0 var(--padding-sm)">${others}<p>${__("This goes with it, and cannot be brought back:")}</p>
		<table class="table table-sm">${rows.filter(([count]) => count).map(row).join("")}</table>
		<p class="text-muted">${__("Documents that its streams have written stay as they are.")}</p></div>`;
}
