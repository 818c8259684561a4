// A run that goes on: told over realtime; where no word comes, asked for.

const RUN_EVENT = "integration_hub_sync_progress"; // with its counts, to who has the stream's form open
const RUNS_EVENT = "integration_hub_sync_running"; // without, to who has the list open

function per_second(run) {
	const rate = run.seconds > 0 ? run.fetched / run.seconds : 0;
	return rate >= 10 ? Math.round(rate) : Math.round(rate * 10) / 10;
}

function run_counts(run) {
	const parts = [
		[run.created, __("{0} created", [run.created])],
		[run.updated, __("{0} updated", [run.updated])],
		[run.unchanged, __("{0} unchanged", [run.unchanged])],
		[run.deleted, __("{0} deleted", [run.deleted])],
		[run.failed, __("{0} failed", [run.failed])],
	];
	return parts.filter(([count]) => count).map(([, text]) => text).join(", ");
}

// How far it is, in percent, judged by the run before; null where nobody knows.
function run_percent(run) {
	return run.expected ? Math.min(Math.round((run.fetched / run.expected) * 100), 99) : null;
}

// on_run is given each word of a run; ask is called while none comes. Returns what stops it.
function watch_runs(event, on_run, ask, patience = 4000) {
	let heard = 0;
	const listen = (run) => {
		heard = Date.now();
		on_run(run);
	};
	frappe.realtime.on(event, listen);
	const timer = setInterval(() => {
		if (Date.now() - heard > patience && document.visibilityState === "visible") ask();
	}, patience);
	return () => {
		clearInterval(timer);
		frappe.realtime.off(event, listen);
	};
}
