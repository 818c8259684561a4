{% include "integration_hub/public/js/untrusted_text.js" %}
{% include "integration_hub/public/js/job_queued.js" %}
{% include "integration_hub/public/js/many.js" %}

show_as_text("Delivery Log");

frappe.listview_settings["Delivery Log"] = {
	hide_name_column: true,
	onload(list) {
		const act = (method) => async (names) => {
			const count = await integration_hub.call(method, { names });
			integration_hub.say(__("Deliveries that will be sent: {0}", [count]), count ? "blue" : "orange");
		};
		integration_hub.add_list_action(list, __("Replay"), act("replay_deliveries"));
		integration_hub.add_list_action(list, __("Approve Deletion"), act("approve_deliveries"));
		offer_all(list, __("Replay All in This List"), (n) =>
			__("Send all {0} deliveries of this list again that are Failed, Dead or Rejected?", [n])
		);
		integration_hub.show_retention(list);
	},
};
