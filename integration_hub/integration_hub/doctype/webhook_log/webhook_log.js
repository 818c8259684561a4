frappe.ui.form.on("Webhook Log", {
	refresh(frm) {
		frm.disable_save();
		if (!["Processing", "Conflict"].includes(frm.doc.status)) {
			frm.add_custom_button(__("Replay"), async () => {
				await frappe.call("integration_hub.api.replay_events", { names: [frm.doc.name] });
				frappe.show_alert({ message: __("Queued again"), indicator: "blue" });
				frm.reload_doc();
			});
			frm.add_custom_button(__("Show What a Replay Would Do"), () => preview(frm));
		}
	},
});

async function preview(frm) {
	const { message } = await frappe.call("integration_hub.api.preview_replay", { names: [frm.doc.name] });
	const [effect] = message;
	const escape = (value) => frappe.utils.escape_html(String(value ?? "–"));
	const rows = Object.entries(effect.changes).map(
		([field, [before, after]]) => `<tr><td>${escape(field)}</td><td>${escape(before)}</td><td>${escape(after)}</td></tr>`
	);
	const head = `<tr><th>${__("Field")}</th><th>${__("Now")}</th><th>${__("Then")}</th></tr>`;
	const table = rows.length ? `<table class="table table-bordered">${head}${rows.join("")}</table>` : "";
	frappe.msgprint({ title: __("Nothing Was Changed"), message: `<p>${escape(effect.does)}</p>${table}` });
}
