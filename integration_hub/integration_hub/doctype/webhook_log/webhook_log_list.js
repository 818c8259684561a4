{% include "integration_hub/public/js/untrusted_text.js" %}

show_as_text("Webhook Log");

frappe.listview_settings["Webhook Log"] = {
	hide_name_column: true,
	onload(list) {
		const refresh = () => list.refresh();
		integration_hub.add_list_action(list, __("Replay"), (names) => integration_hub.replay(names));
		integration_hub.add_list_action(list, __("Dry-Run Replay"), (names) =>
			integration_hub.dry_run_replay(names, refresh)
		);
		integration_hub.show_retention(list);
	},
};
