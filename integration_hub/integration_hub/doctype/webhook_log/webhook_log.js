frappe.ui.form.on("Webhook Log", {
	refresh(frm) {
		frm.disable_save();
		integration_hub.show_code(frm, "payload", "payload_view");
		integration_hub.show_code(frm, "headers", "headers_view");
		show_attempts(frm);
		show_difference(frm);
		add_actions(frm);
		add_views(frm);
	},
});

function show_attempts(frm) {
	const outcomes = {
		Completed: ["green", __("Completed")],
		Failed: ["orange", __("Failed")],
		Dead: ["red", __("Dead")],
		Deferred: ["blue", __("Deferred")],
		Unrouted: ["gray", __("Unrouted")],
		Conflict: ["orange", __("Conflict")],
		Lost: ["red", __("Worker Lost")],
	};
	const link = (doctype, name) =>
		name ? { html: `<a href="${frappe.utils.get_form_link(doctype, name)}">${frappe.utils.escape_html(name)}</a>` } : "";
	const failure = (one) =>
		one.error_log
			? { html: `<a href="${frappe.utils.get_form_link("Integration Error Log", one.error_log)}">${frappe.utils.escape_html(one.error)}</a>` }
			: one.error;
	const rows = (frm.doc.__onload?.attempts || []).map((one) => {
		const [color, outcome] = outcomes[one.outcome] || ["gray", one.outcome];
		return [
			frappe.datetime.str_to_user(one.at),
			one.seconds === null ? "–" : __("{0} s", [one.seconds < 10 ? one.seconds.toFixed(3) : Math.round(one.seconds)]),
			{ html: `<span class="indicator-pill ${color}" style="white-space: nowrap">${frappe.utils.escape_html(outcome)}</span>` },
			one.route,
			link(one.doctype, one.document),
			failure(one),
		];
	});
	const head = [__("Time"), __("Duration"), __("Outcome"), __("Route"), __("Document"), __("Error")];
	integration_hub.table(frm.fields_dict.attempts_view.$wrapper, head, rows.reverse());
}

function show_difference(frm) {
	const { first, places } = frm.doc.__onload?.difference || {};
	const $view = frm.fields_dict.difference_view.$wrapper.empty();
	if (!first) {
		if (frm.doc.status === "Conflict") $view.html(`<p class="text-muted">${__("There is no other event to compare it with.")}</p>`);
		return;
	}
	const whole = __("(whole payload)");
	const rows = places.map((one) => [one.path || whole, one.first || "–", one.this || "–"]);
	integration_hub.table($view, [__("Field"), __("First Event"), __("This Event")], rows);
	const link = `<a href="${frappe.utils.get_form_link("Webhook Log", first)}">${__("Open the first event")}</a>`;
	$view.prepend(`<p>${rows.length ? "" : __("The payloads say the same.")} ${link}</p>`);
}

function add_actions(frm) {
	if (frm.doc.status === "Conflict" && frm.doc.payload && integration_hub.may_act()) {
		frm.add_custom_button(__("Handle as a New Event"), () => handle_conflict(frm));
	}
	const replayable = !["Processing", "Conflict"].includes(frm.doc.status) && frm.doc.payload;
	if (!replayable || !integration_hub.may_act()) return;
	const names = [frm.doc.name];
	const again = async () => {
		await frm.reload_doc();
		integration_hub.follow(frm, integration_hub.EVENTS);
	};
	frm.add_custom_button(__("Replay"), async () => {
		await integration_hub.replay(names);
		again();
	});
	frm.add_custom_button(__("Dry-Run Replay"), () => integration_hub.dry_run_replay(names, again));
}

function handle_conflict(frm) {
	const text = frm.doc.error
		? __("This event waits for a person. Handle it as its headers say?") + `<br><br>${frappe.utils.escape_html(frm.doc.error)}`
		: __("An earlier event has the same ID and another body. Handle this one, too, as a new event?");
	frappe.confirm(text, async () => {
		const count = await integration_hub.call("handle_conflict", { name: frm.doc.name });
		if (count) integration_hub.say(__("The event will be handled"));
		else integration_hub.say(__("The event was not changed"), "orange");
		await frm.reload_doc();
		integration_hub.follow(frm, integration_hub.EVENTS);
	});
}

function add_views(frm) {
	const { doc } = frm;
	const view = (label, open) => frm.add_custom_button(label, open, __("View"));
	if (doc.reference_name) {
		view(__("Document"), () => frappe.set_route("Form", doc.reference_doctype, doc.reference_name));
		view(__("Records"), () =>
			frappe.set_route("List", "External Record", {
				target_doctype: doc.reference_doctype,
				target_name: doc.reference_name,
			})
		);
	}
	if (doc.error_log) {
		view(__("Failure"), () => frappe.set_route("Form", "Integration Error Log", doc.error_log));
	}
	if (doc.ordering_key) {
		view(__("Events of the Same Key"), () =>
			frappe.set_route("List", "Webhook Log", {
				integration: doc.integration,
				ordering_key: doc.ordering_key,
			})
		);
	}
	view(__("Events with the Same ID"), () =>
		frappe.set_route("List", "Webhook Log", { integration: doc.integration, event_id: doc.event_id })
	);
}
