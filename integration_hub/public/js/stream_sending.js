// Streams of the direction Out: what is there can be sent, and looked at before.

function show_sending(frm) {
	frm.set_df_property("target_doctype", "label", frm.doc.direction === "Out" ? __("Source DocType") : __("Target DocType"));
	if (frm.is_new() || frm.doc.direction !== "Out") return;
	frm.add_custom_button(__("Send What Is There"), () => plan_sending(frm));
}

async function plan_sending(frm) {
	const { message: plan } = await frappe.call({
		method: "integration_hub.api.plan_sending",
		args: { stream: frm.doc.name },
		freeze: true,
		freeze_message: __("Comparing all documents; nothing is sent"),
	});
	const escape = frappe.utils.escape_html;
	const skipped = Object.entries(plan.skip).map(([why, count]) => `<li>${__("Skipped: {0}", [count])} (${escape(why)})</li>`);
	const counts = [
		[__("Created: {0}", [plan.create])],
		[__("Updated: {0}", [plan.update])],
		[__("Deleted: {0}", [plan.delete])],
	].map(([text]) => `<li>${text}</li>`);
	const total = plan.create + plan.update + plan.delete;
	const text = `<p>${__("Sending all documents of {0} would make:", [escape(frm.doc.name).bold()])}</p>
		<ul>${counts.join("")}${skipped.join("")}</ul>`;
	if (!total) return frappe.msgprint(`${text}<p>${__("There is nothing to send.")}</p>`);
	frappe.confirm(`${text}<p>${__("Send them?")}</p>`, async () => {
		await frappe.call("integration_hub.api.send_what_is_there", { stream: frm.doc.name });
		frappe.show_alert({ message: __("They are sent behind all live changes"), indicator: "blue" });
	});
}
