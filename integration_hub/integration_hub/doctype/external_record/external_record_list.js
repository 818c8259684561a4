{% include "integration_hub/public/js/untrusted_text.js" %}
{% include "integration_hub/public/js/job_queued.js" %}
{% include "integration_hub/public/js/many.js" %}

show_as_text("External Record");

frappe.listview_settings["External Record"] = {
	hide_name_column: true,
	add_fields: ["error", "status"],
	formatters: {
		// What keeps a record from being written stands where its document would.
		target_name: (value, df, doc) => {
			const text = frappe.utils.escape_html(value || doc.error || "");
			return `<span class="ellipsis ${value ? "" : "text-danger"}" title="${text}">${text}</span>`;
		},
	},
	onload(list) {
		if (!frappe.model.can_write("Integration Settings")) return;
		list.page.add_action_item(__("Retry"), async () => {
			const names = list.get_checked_items(true);
			if (!names.length) return;
			const { message: warnings } = await frappe.call("integration_hub.api.retry_records", { names });
			frappe.show_alert({ message: __("A worker tries it; you are told here what became of it"), indicator: "blue" });
			warn_of_workers(warnings);
			list.clear_checked_items();
		});
		offer_all(list, __("Retry All in This List"), (n) =>
			n === 1 ? __("Try 1 record again?") : __("Try all {0} records of this list again that could not be written?", [n])
		);
	},
};
