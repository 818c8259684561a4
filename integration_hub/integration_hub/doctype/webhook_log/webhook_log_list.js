{% include "integration_hub/public/js/untrusted_text.js" %}
{% include "integration_hub/public/js/job_queued.js" %}
{% include "integration_hub/public/js/many.js" %}

show_as_text("Webhook Log");

frappe.listview_settings["Webhook Log"] = {
	hide_name_column: true,
	onload(list) {
		const refresh = () => list.refresh();
		integration_hub.add_list_action(list, __("Replay"), (names) => integration_hub.replay(names));
		integration_hub.add_list_action(list, __("Dry-Run Replay"), (names) =>
			integration_hub.dry_run_replay(names, refresh)
		);
		offer_all(list, __("Replay All in This List"), (n) =>
			n === 1 ? __("Handle 1 event again?") : __("Handle all {0} events of this list again that are Failed, Dead or Unrouted?", [n])
		);
		integration_hub.show_retention(list);
	},
};
