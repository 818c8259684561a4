{% include "integration_hub/public/js/job_queued.js" %}

// What the forms and lists of the logs share: JSON to read, the effects of a replay, calls with an answer to see.
frappe.provide("integration_hub");

(() => {
	const escape = (value) => frappe.utils.escape_html(String(value ?? ""));
	const LARGE = 200_000; // characters: beyond, a tree of it is of no use and slow

	frappe.dom.set_style(
		`.hub-code { background: var(--control-bg); border-radius: var(--border-radius); padding: 8px 12px;
			max-height: 480px; overflow: auto; font-family: var(--font-stack-monospace, monospace);
			font-size: var(--text-sm); overflow-wrap: anywhere; white-space: pre-wrap; position: relative;
			direction: ltr; text-align: left; }
		.hub-code div.hub-inner { padding-left: 1.5em; }
		.hub-code summary { cursor: pointer; display: list-item; }
		.hub-code .hub-key { color: var(--text-light, var(--text-muted)); }
		.hub-view > summary { cursor: pointer; display: list-item; margin-bottom: 4px; }
		.hub-view { margin-bottom: 12px; }
		.hub-effect { margin-bottom: 20px; }
		.hub-effect td { overflow-wrap: anywhere; white-space: pre-wrap; vertical-align: top; min-width: 7em; }
		.hub-effect td.hub-before { color: var(--text-muted); }`,
		"integration-hub-logs"
	);

	// A tree of a JSON text that can be folded. The text itself is shown, piece by piece, and not what a parser
	// made of it: a long number or an escape stays as the sender wrote it.
	function tree(text) {
		if (text.length > LARGE) return null;
		try {
			JSON.parse(text);
			const tokens = text.match(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g) || [];
			return branch(tokens, { at: 0 }, "");
		} catch {
			return null; // no JSON, or nested too deeply
		}
	}

	function branch(tokens, place, prefix) {
		const open = tokens[place.at++];
		if (open !== "{" && open !== "[") return `<div>${prefix}${escape(open)}</div>`;
		const close = open === "{" ? "}" : "]";
		const rows = [];
		while (tokens[place.at] !== close) {
			let key = "";
			if (open === "{") {
				key = `<span class="hub-key">${escape(tokens[place.at])}</span>: `;
				place.at += 2; // the key and its colon
			}
			rows.push(branch(tokens, place, key));
			if (tokens[place.at] === ",") place.at++;
		}
		place.at++;
		if (!rows.length) return `<div>${prefix}${open}${close}</div>`;
		return `<details open><summary>${prefix}${open}</summary><div class="hub-inner">${rows.join("")}</div></details><div>${close}</div>`;
	}

	// The letters that JSON writes as \\u00f6; other escapes say something that letters do not, and stay.
	function letters(text) {
		return text.replace(/\\(?:u([0-9a-f]{4})|[^])/gi, (escape, code) => {
			const letter = code && String.fromCharCode(parseInt(code, 16));
			return letter && /[\p{L}\p{M}\p{N}\p{S}\p{P}\p{Cs}]/u.test(letter) && !/["\\]/.test(letter) ? letter : escape;
		});
	}

	// Show the text of a field in an HTML field: as JSON if it is, else as it is; folded together if it is long.
	integration_hub.show_code = (frm, field, view) => {
		const text = frm.doc[field];
		const $view = frm.fields_dict[view].$wrapper.empty();
		if (!text) return;
		const label = frm.fields_dict[view].df.label;
		const folded = text.length > 20_000 ? "" : "open";
		const read = letters(text);
		const html = tree(read) || escape(read);
		$view.html(`<details class="hub-view" ${folded}>
			<summary class="text-muted">${escape(__(label))}
				<a class="hub-copy small" style="margin-left: 8px" role="button">${__("Copy")}</a></summary>
			<div class="hub-code">${html}</div></details>`);
		$view.find(".hub-copy").on("click", (event) => {
			event.preventDefault(); // of the summary it stands in
			frappe.utils.copy_to_clipboard(text);
		});
	};

	// Only who may change what an integration does is offered to act on its logs. The server asks again.
	integration_hub.may_act = () => frappe.model.can_write("Integration Settings");

	integration_hub.call = async (method, args, freeze) => {
		const { message } = await frappe.call({
			method: `integration_hub.api.${method}`,
			args,
			freeze: Boolean(freeze),
			freeze_message: freeze,
		});
		return message;
	};

	integration_hub.say = (message, indicator = "blue") => frappe.show_alert({ message, indicator });

	integration_hub.replay = async (names) => {
		const count = await integration_hub.call("replay_events", { names });
		const left = names.length - count;
		integration_hub.say(count === 1 ? __("1 event will be handled again") : __("{0} events will be handled again", [count]), count ? "blue" : "orange");
		if (left) integration_hub.say(left === 1 ? __("1 event was not changed") : __("{0} events were not changed", [left]), "orange");
	};

	const COLORS = {
		Create: "green",
		Update: "blue",
		Delete: "red",
		Fail: "red",
		Refuse: "orange",
		Call: "purple",
		Nothing: "gray",
	};

	function heading(effect) {
		const doctype = __(effect.doctype || "");
		const titles = {
			Create: () => __("Would create a new {0}", [doctype]),
			Update: () => __("Would change {0} {1}", [doctype, effect.document]),
			Delete: () => __("Would delete {0} {1}", [doctype, effect.document]),
			Call: () => __("Would run code, which a dry run does not"),
			Fail: () => __("Would fail"),
			Refuse: () => __("Cannot be replayed"),
			Nothing: () => __("Would change nothing"),
		};
		return titles[effect.action]();
	}

	// Of a child table only the rows come that are other: a line each.
	function row_line(row) {
		const held = ([, inner]) => ![null, undefined, "", 0].includes(inner);
		return Object.entries(row).filter(held).map(([name, inner]) => `${name}: ${inner}`).join(", ") || "–";
	}

	function shown_value(value) {
		if (value === null || value === undefined || value === "") return "–";
		if (Array.isArray(value)) return value.map((row) => escape(row_line(row))).join("<br>") || "–";
		return escape(typeof value === "object" ? JSON.stringify(value, null, 1) : value);
	}

	function effect_html(effect, many) {
		const rows = Object.entries(effect.changes).map(
			([field, [before, after]]) => `<tr><td>${escape(effect.labels[field] || field)}</td>
				<td class="hub-before">${shown_value(before)}</td><td>${shown_value(after)}</td></tr>`
		);
		const said = ["Fail", "Refuse", "Call", "Nothing"].includes(effect.action) ? effect.does : "";
		const link = effect.document
			? `<a href="${frappe.utils.get_form_link(effect.doctype, effect.document)}">${__("Open Document")}</a>`
			: "";
		const event = many
			? `<a class="text-muted small" href="${frappe.utils.get_form_link("Webhook Log", effect.event)}">${escape(effect.event)}</a>`
			: "";
		return `<div class="hub-effect">
			<div class="flex justify-between" style="flex-wrap: wrap; gap: 8px; margin-bottom: 8px">
				<span class="indicator-pill ${COLORS[effect.action]}" style="white-space: nowrap">${escape(heading(effect))}</span>
				<span>${link} ${event}</span>
			</div>
			${said ? `<p>${escape(said)}</p>` : ""}
			${
				rows.length
					? `<div class="table-responsive"><table class="table table-bordered small"><thead><tr>
						<th style="width: 28%">${__("Field")}</th><th style="width: 36%">${__("Now")}</th><th>${__("Then")}</th>
						</tr></thead><tbody>${rows.join("")}</tbody></table></div>`
					: ""
			}</div>`;
	}

	// Show what a replay would do; `after` is called when the person then has it done.
	integration_hub.dry_run_replay = async (names, after) => {
		const effects = await integration_hub.call("preview_replay", { names }, __("Trying it out and rolling it back"));
		const dialog = new frappe.ui.Dialog({
			title: names.length > 1 ? __("Dry-Run Replay of {0} Events", [names.length]) : __("Dry-Run Replay"),
			size: "large",
			primary_action_label: __("Replay"),
			primary_action: async () => {
				dialog.hide();
				await integration_hub.replay(names);
				after?.();
			},
		});
		const lead = `<p class="text-muted">${__("Nothing was changed.")}</p>`;
		dialog.$body.append(lead + effects.map((one) => effect_html(one, effects.length > 1)).join(""));
		dialog.show();
	};

	integration_hub.handed = handed;

	// Keep a form up to date while what it asked for is being done elsewhere: told over realtime, else by asking.
	const SETTLED = ["Completed", "Failed", "Dead", "Unrouted", "Conflict", "Bound", "Deleted", "Resolved"];
	const LONGEST = 15 * 60_000;

	integration_hub.follow = (frm, rooms) => {
		frm.hub_unfollow?.();
		const name = frm.doc.name;
		const until = Date.now() + LONGEST;
		let asking = false;
		const look = async () => {
			if (asking || document.visibilityState !== "visible") return;
			if (cur_frm !== frm || frm.doc.name !== name || Date.now() > until) return frm.hub_unfollow?.();
			asking = true;
			try {
				const { message: now } = await frappe.db.get_value(frm.doctype, name, ["status", "modified"]);
				const shown = [frm.doc.status, frm.doc.modified];
				if (cur_frm !== frm || frm.doc.name !== name) return;
				if (now.status !== shown[0] || now.modified !== shown[1]) {
					await frm.reload_doc();
					if (SETTLED.includes(now.status)) frm.hub_unfollow?.();
				}
			} finally {
				asking = false;
			}
		};
		const timer = setInterval(look, 3000);
		for (const [doctype, event] of rooms) {
			frappe.realtime.doctype_subscribe?.(doctype);
			frappe.realtime.on(event, look);
		}
		frm.hub_unfollow = () => {
			clearInterval(timer);
			for (const [, event] of rooms) frappe.realtime.off(event, look);
			frm.hub_unfollow = null;
		};
	};
	integration_hub.EVENTS = [["Webhook Log", "integration_hub_events_ended"]];
	integration_hub.RUNS = [["Sync Settings", "integration_hub_sync_running"]];

	// head: texts; rows: lists of cells, each a text or {html} that is trusted.
	integration_hub.table = ($wrapper, head, rows) => {
		const td = (cell) => `<td>${cell?.html ?? escape(cell ?? "")}</td>`;
		$wrapper.html(`<div class="table-responsive hub-effect"><table class="table table-bordered small">
			<thead><tr>${head.map((text) => `<th>${escape(text)}</th>`).join("")}</tr></thead>
			<tbody>${rows.map((row) => `<tr>${row.map(td).join("")}</tr>`).join("")}</tbody></table></div>`);
	};

	integration_hub.retry = async (names) => {
		const done = await integration_hub.call("retry_failures", { names });
		if (done.events) integration_hub.say(done.events === 1 ? __("1 event will be handled again") : __("{0} events will be handled again", [done.events]));
		for (const stream of done.streams) handed(stream);
		for (const stream of done.records) {
			integration_hub.say(__("Records of {0} are tried again; you are told here what became of them", [escape(stream)]));
		}
		warn_of_workers(done.warnings);
		if (done.nothing.length) {
			const text =
				done.nothing.length === 1
					? __("1 failure cannot be retried here: no event and no stream is waiting. Start a backfill or a removal again from its stream.")
					: __("{0} failures cannot be retried here: no event and no stream is waiting. Start a backfill or a removal again from its stream.", [
							done.nothing.length,
						]);
			integration_hub.say(text, "orange");
		}
	};

	// A list's checked rows are named; without any there is nothing to do.
	integration_hub.add_list_action = (list, label, act) => {
		if (!integration_hub.may_act()) return;
		list.page.add_action_item(label, async () => {
			const names = list.get_checked_items(true);
			if (!names.length) return;
			await act(names);
			list.clear_checked_items();
			list.refresh();
		});
	};

	// How long rows stay, below the list. Frappe's own line is for administrators only, and knows one number.
	integration_hub.show_retention = async (list) => {
		const { message: days } = await frappe.call({
			method: "integration_hub.api.log_days",
			type: "GET",
			args: { doctype: list.doctype },
		});
		const kept = {
			"Webhook Log": __("Completed events are kept {0} days. Failed, dead, unrouted and conflicting events are kept as long as their integration says under Keep Events.", [days]),
			"Sync Log": __("Runs are kept {0} days; one that waits for approval stays.", [days]),
			"Integration Error Log": __("Resolved failures are kept {0} days; open ones stay.", [days]),
		};
		const text = days ? kept[list.doctype] : __("Nothing is deleted automatically: Log Settings do not include this log.");
		list.$frappe_list.find(".hub-retention").remove();
		$(`<p class="hub-retention text-muted small">${text} </p>`)
			.css({ padding: "8px 15px", margin: 0 })
			.append(frappe.model.can_write("Log Settings") ? `<a href="${frappe.router.make_url(["log-settings"])}">${__("Log Settings")}</a>` : "")
			.appendTo(list.$frappe_list);
	};
})();
