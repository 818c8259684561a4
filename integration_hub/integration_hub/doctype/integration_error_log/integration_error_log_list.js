{% include "integration_hub/public/js/untrusted_text.js" %}
{% include "integration_hub/public/js/job_queued.js" %}
{% include "integration_hub/public/js/many.js" %}

show_as_text("Integration Error Log");

frappe.listview_settings["Integration Error Log"] = {
	hide_name_column: true,
	onload(list) {
		const call = (method, said) => async (names) => {
			const count = await integration_hub.call(method, { names });
			integration_hub.say(said(count), "green");
		};
		integration_hub.add_list_action(
			list,
			__("Resolve"),
			call("resolve_failures", (count) => (count === 1 ? __("1 failure resolved") : __("{0} failures resolved", [count])))
		);
		integration_hub.add_list_action(
			list,
			__("Reopen"),
			call("reopen_failures", (count) => (count === 1 ? __("1 failure reopened") : __("{0} failures reopened", [count])))
		);
		integration_hub.add_list_action(list, __("Retry"), (names) => integration_hub.retry(names));
		offer_all(list, __("Retry All in This List"), (n) =>
			n === 1 ? __("Try again what 1 open failure is about?") : __("Try again what all {0} open failures of this list are about?", [n])
		);
		integration_hub.show_retention(list);
	},
};
