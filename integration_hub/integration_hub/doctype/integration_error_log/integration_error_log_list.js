{% include "integration_hub/public/js/untrusted_text.js" %}

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
		integration_hub.show_retention(list);
	},
};
