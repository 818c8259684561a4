{% include "integration_hub/public/js/untrusted_text.js" %}
{% include "integration_hub/public/js/job_queued.js" %}
{% include "integration_hub/public/js/outcome.js" %}
{% include "integration_hub/public/js/many.js" %}

show_as_text("Sync Log");

frappe.listview_settings["Sync Log"] = {
	hide_name_column: true,
	add_fields: ["created", "updated", "deleted", "failed", "error", "status"],
	formatters: {
		outcome: (value, df, doc) => outcome_html(value || counted(doc), doc.status === "Completed" ? "" : doc.error),
	},
	onload(list) {
		integration_hub.add_list_action(list, __("Run Again"), async (names) => {
			const message = await integration_hub.call("run_again", { names });
			done_and_refused(message, (n) => __("Streams handed to a worker: {0}", [n]));
			warn_of_workers(message.warnings);
		});
		integration_hub.show_retention(list);
	},
};

// Of runs of before outcomes were kept, and of those that go on.
function counted(doc) {
	const words = ["created", "updated", "deleted", "failed"];
	return words.filter((word) => doc[word]).map((word) => `${doc[word]} ${word}`).join(", ");
}
