// The field Runs of Sync Settings: the run that goes on, what waits for a person, the last runs.

// The documents' own values, untranslated.
const RUN_COLORS = {
	Running: "blue",
	Completed: "green",
	Partial: "orange",
	Failed: "red",
	Interrupted: "red",
	Postponed: "orange",
	"Needs Approval": "orange",
};

const WORKER_SECONDS = 600; // after that, nobody waits for a run that was handed to a worker

// One form shows all documents of its DocType: what it knows of another one is forgotten.
function forget_others(frm) {
	if (frm.hub_stream === frm.doc.name) return;
	frm.hub_stream = frm.doc.name;
	frm.hub_run = frm.hub_last = frm.hub_waits = null;
	frm.fields_dict.runs.$wrapper.empty();
}

// The state of the stream that is open; null if another one is by the time it comes.
async function stream_state(frm) {
	const { name } = frm.doc;
	const { message } = await frappe.call({
		method: "integration_hub.api.stream_state",
		type: "GET",
		args: { stream: name },
	});
	return cur_frm === frm && frm.doc.name === name ? message : null;
}

async function load_runs(frm) {
	if (frm.is_new()) return;
	const state = await stream_state(frm);
	if (state) show_runs(frm, state);
}

function show_runs(frm, state) {
	const $place = frm.fields_dict.runs.$wrapper.empty().addClass("hub-runs");
	$place.append(
		`<div class="hub-warnings"></div><div class="hub-standing"></div><div class="hub-run"></div><div class="hub-held"></div><div class="hub-chart"></div>`
	);
	show_warnings($place.find(".hub-warnings"), state.warnings);
	show_standing($place.find(".hub-standing"), state.standing);
	show_held(frm, $place.find(".hub-held"), state.held, state.kept);
	show_chart($place.find(".hub-chart"), state.runs);
	const waiting = frm.hub_run?.run === state.run?.run ? frm.hub_run?.waiting : ""; // told, not stored
	frm.hub_run = state.run && { waiting, ...state.run };
	frm.hub_last = state.runs.at(-1)?.name;
	show_run(frm);
}

// What is wrong comes first: why the stream is not well, and what its last run failed with.
function show_standing($place, { status, why, last }) {
	if (status !== "Failing" || !why.length) return;
	const link = (run) => `<a href="${frappe.utils.get_form_link("Sync Log", run.name)}">${escaped(frappe.datetime.str_to_user(run.started_at))}</a>`;
	const error = last?.error ? `<div class="mt-1 small">${link(last)}: <bdi>${escaped(last.error)}</bdi></div>` : "";
	$place.append(`<div class="alert alert-danger" style="overflow-wrap: anywhere"><b>${escaped(why[0])}</b>
		${why.slice(1).map((text) => `<div><bdi>${escaped(text)}</bdi></div>`).join("")}${error}</div>`);
}

function show_warnings($place, warnings) {
	for (const text of warnings) {
		$place.append(`<div class="alert alert-warning" style="overflow-wrap: anywhere">${escaped(text)}</div>`);
	}
}

function show_run(frm) {
	const run = frm.hub_run;
	const $place = frm.fields_dict.runs.$wrapper.find(".hub-run").empty();
	if (!run) return;
	frm.page.set_indicator(__("Running"), "blue");
	frm.fields_dict.runs.$wrapper.find(".hub-none").remove();
	const percent = run_percent(run);
	const link = `<a href="${frappe.utils.get_form_link("Sync Log", run.run)}">${__("Running")}</a>`;
	const of = run.expected ? __("{0} of about {1} records", [run.fetched, run.expected]) : (run.fetched === 1 ? __("1 record") : __("{0} records", [run.fetched]));
	const quiet = run.silent > 60 ? __("no news for {0} s", [Math.round(run.silent)]) : "";
	const parts = [of, __("{0} a second", [per_second(run)]), run_counts(run), quiet, run.waiting];
	const said = parts.filter(Boolean).join(" · ");
	$place.append(`<div class="mb-4" data-run="${escaped(run.run)}" data-fetched="${run.fetched}">
		<span class="indicator blue" style="white-space: normal">${link}: ${escaped(said)}</span>
		<div class="progress mt-2" style="height: 8px">
			<div class="progress-bar ${percent === null ? "progress-bar-striped progress-bar-animated" : ""}"
				style="width: ${percent === null ? 100 : Math.max(percent, 2)}%"></div>
		</div>
	</div>`);
}

function show_held(frm, $place, held, kept) {
	if (kept) show_kept(frm, $place, kept);
	if (!held.length) return;
	const count = held.reduce((sum, one) => sum + one.to_delete, 0);
	const $box = $(
		`<div class="alert alert-danger">${count === 1 ? __("The source no longer has 1 record. Nothing was removed yet: that waits for a person.") : __("The source no longer has {0} records. Nothing was removed yet: that waits for a person.", [count])} </div>`
	).appendTo($place);
	if (!frm.has_perm("write")) return;
	$(`<button class="btn btn-xs btn-danger mt-1">${__("See and Approve")}</button>`)
		.appendTo($box)
		.on("click", () => show_deletions(frm));
}

// Documents whose removal was refused: they are not asked about, unless somebody wants to be.
function show_kept(frm, $place, kept) {
	const text =
		kept === 1
			? __("1 document is kept on a person's word, though its record is gone from the source.")
			: __("{0} documents are kept on a person's word, though their records are gone from the source.", [kept]);
	const $line = $(`<p class="text-muted small hub-kept">${text} </p>`).appendTo($place);
	if (!frm.has_perm("write")) return;
	$(`<a role="button">${__("Ask Again")}</a>`)
		.appendTo($line)
		.on("click", async () => {
			await frappe.call("integration_hub.api.ask_about_kept", { stream: frm.doc.name });
			frappe.show_alert({ message: __("The next run asks again"), indicator: "blue" });
			load_runs(frm);
		});
}

function show_chart($place, runs) {
	if (!runs.length) {
		$place.append(`<p class="text-muted hub-none">${__("This stream has not run yet.")}</p>`);
		return;
	}
	const last = runs.at(-1);
	$place.append(`<p class="small mb-2">
		<a href="${frappe.utils.get_form_link("Sync Log", last.name)}" class="indicator ${RUN_COLORS[last.status] || "gray"}"
			style="white-space: normal">${escaped(run_line(last))}</a></p>`);
	const kinds = [
		["created", __("Created"), "var(--green-500)"],
		["updated", __("Updated"), "var(--blue-500)"],
		["deleted", __("Deleted"), "var(--gray-500)"],
		["failed", __("Failed"), "var(--red-500)"],
	];
	const total = (run) => kinds.reduce((sum, [field]) => sum + (run[field] || 0), 0);
	const most = Math.max(...runs.map(total), 1);
	const part = (run, [field, , color]) =>
		run[field] ? `<div style="height: ${(run[field] / most) * 100}%; min-height: 2px; background: ${color}"></div>` : "";
	// A bar a run, each a link to it. frappe.Chart goes on drawing where its place is hidden or gone.
	const bar = (run) => `<a href="${frappe.utils.get_form_link("Sync Log", run.name)}" title="${escaped(run_line(run))}"
		class="hub-bar d-flex flex-column-reverse" style="flex: 1; max-width: 32px; height: 100%; border-bottom: 2px solid var(--gray-400)">
		${kinds.map((kind) => part(run, kind)).join("")}</a>`;
	const legend = ([, name, color]) =>
		`<span class="mr-3" style="white-space: nowrap"><span style="color: ${color}">&#9632;</span> ${name}</span>`;
	$place.append(`<div class="d-flex align-items-end" style="height: 90px; gap: 4px">${runs.map(bar).join("")}</div>
		<div class="small text-muted mt-1 mb-3">${kinds.map(legend).join(" ")}
			${runs.length === 1 ? __("Records of the last run, at most {0}", [most]) : __("Records of the last {0} runs, at most {1}", [runs.length, most])}</div>`);
}

function run_line(run) {
	return [__(run.status), frappe.datetime.str_to_user(run.started_at), run_counts(run) || __("no records")].join(" · ");
}

function watch_form(frm) {
	frm.hub_unwatch?.();
	if (frm.is_new()) return;
	// Not while the person leaves for another form: a form that is reloaded then draws a document that is gone.
	const here = () => {
		const [view, doctype, name] = frappe.get_route();
		return cur_frm === frm && view === "Form" && doctype === frm.doctype && name === frm.doc.name;
	};
	frm.hub_unwatch = watch_runs(
		RUN_EVENT,
		(run) => {
			if (run.stream !== frm.doc.name || !here()) return;
			if (run.status !== "Running") return run_ended(frm);
			frm.hub_run = { ...frm.hub_run, silent: 0, ...run };
			show_run(frm);
		},
		() => here() && ask_again(frm)
	);
}

// No word came: socket.io may be away, or nothing goes on.
async function ask_again(frm) {
	if (!frm.hub_run && !(Date.now() - frm.hub_waits < WORKER_SECONDS * 1000)) return;
	const state = await stream_state(frm);
	if (!state) return;
	if (state.run) {
		frm.hub_waits = null;
		const waiting = frm.hub_run?.run === state.run?.run ? frm.hub_run?.waiting : ""; // told, not stored
	frm.hub_run = state.run && { waiting, ...state.run };
		return show_run(frm);
	}
	const last = state.runs.at(-1);
	if (frm.hub_run || last?.name !== frm.hub_last) run_ended(frm);
}

function run_ended(frm) {
	frm.hub_run = frm.hub_waits = null;
	if (frm.is_dirty()) load_runs(frm);
	else frm.reload_doc();
}
