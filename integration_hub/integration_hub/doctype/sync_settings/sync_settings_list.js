{% include "integration_hub/public/js/run_progress.js" %}
{% include "integration_hub/public/js/list_pills.js" %}
{% include "integration_hub/public/js/untrusted_text.js" %}
{% include "integration_hub/public/js/job_queued.js" %}
{% include "integration_hub/public/js/outcome.js" %}
{% include "integration_hub/public/js/many.js" %}

show_as_text("Sync Settings");

frappe.listview_settings["Sync Settings"] = {
	hide_name_column: true,
	add_fields: ["enabled", "status", "consecutive_failures", "next_run_at"],
	get_indicator(doc) {
		const colors = {
			New: "gray",
			Running: "blue",
			OK: "green",
			Failing: "red",
			Waiting: "orange",
			"Needs Approval": "orange",
		};
		if (!doc.enabled && doc.status !== "Running") return [__("Off"), "gray", "enabled,=,0"];
		return [__(doc.status), colors[doc.status] || "gray", `status,=,${doc.status}`];
	},
	formatters: {
		last_outcome: (value, df, doc) => outcome_html(value) + next_run(doc),
	},
	onload(list) {
		watch_list(list);
		offer_actions(list);
	},
	refresh: show_running,
};

// Where the window has no room for that column: Frappe shows one beside name and status up to 1366 px.
function next_run({ enabled, next_run_at }) {
	if (!enabled || !next_run_at || window.innerWidth > 1366) return "";
	const text = __("next {0}", [frappe.datetime.str_to_user(frappe.datetime.convert_to_user_tz(next_run_at))]);
	return ` <span class="text-muted small">${frappe.utils.escape_html(text)}</span>`;
}

function offer_actions(list) {
	if (!frappe.model.can_write("Sync Settings")) return;
	const action = (label, method, args, said) =>
		list.page.add_action_item(label, async () => {
			const names = list.get_checked_items(true);
			if (!names.length) return;
			const { message } = await frappe.call(`integration_hub.api.${method}`, { names, ...args });
			done_and_refused(message, said);
			warn_of_workers(message.warnings);
			list.clear_checked_items();
			list.refresh();
		});
	action(__("Run Now"), "run_streams", {}, (n) => __("Streams handed to a worker: {0}", [n]));
	action(__("Switch On"), "enable_streams", { enabled: 1 }, (n) => __("Streams switched on: {0}", [n]));
	action(__("Switch Off"), "enable_streams", { enabled: 0 }, (n) => __("Streams switched off: {0}", [n]));
}

function watch_list(list) {
	const here = () => cur_list === list && frappe.get_route()[0] === "List" && frappe.get_route()[1] === list.doctype;
	const show = frappe.utils.debounce(() => here() && show_running(list), 500);
	watch_runs(RUNS_EVENT, show, show);
}

async function show_running(list) {
	const { message: runs } = await frappe.call({ method: "integration_hub.api.running_streams", type: "GET" });
	const going = Object.fromEntries((runs || []).map((run) => [run.stream, run]));
	// What has begun or ended since the list was read is read again.
	const changed = list.data.some((doc) => (doc.status === "Running") !== Boolean(going[doc.name]));
	if (changed && !list.hub_reading) {
		list.hub_reading = true; // once: a stream may have been closed by another than its run
		await list.refresh();
		setTimeout(() => (list.hub_reading = false), 3000);
	}
	for (const [stream, run] of Object.entries(going)) {
		const said = __("{0} records, {1} a second", [run.fetched, per_second(run)]);
		set_pill(list, stream, said, "blue");
	}
}
