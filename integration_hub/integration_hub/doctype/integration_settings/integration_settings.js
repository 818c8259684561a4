{% include "integration_hub/public/js/save_first.js" %}
{% include "integration_hub/public/js/tour_end.js" %}
{% include "integration_hub/public/js/cells.js" %}
{% include "integration_hub/public/js/integration_health.js" %}
{% include "integration_hub/public/js/integration_senders.js" %}
{% include "integration_hub/public/js/integration_endpoint.js" %}
{% include "integration_hub/public/js/bulk_replay.js" %}
{% include "integration_hub/public/js/job_queued.js" %}
{% include "integration_hub/public/js/removal.js" %}

frappe.ui.form.on("Integration Settings", {
	onload(frm) {
		stay_after_tour(frm);
		offer_choices(frm);
		frm.hub_scheme = frm.doc.webhook_scheme;
		// They are others' secrets: how strong they are is not for a person here to choose.
		for (const field of Object.values(frm.fields_dict)) field.disable_password_checks?.();
	},
	refresh(frm) {
		offer_choices(frm);
		show_endpoint(frm);
		// Among the actions: beside the others it pushes Save out of the window on v16.
		if (frm.has_perm("write")) frm.add_custom_button(__("Choose a Sender"), () => choose_sender(frm), __("Actions"));
		if (frm.is_new()) return;
		frm.savetrash = () => delete_all(frm); // Frappe's own knows nothing of what belongs to it
		if (frm.has_perm("write")) {
			frm.add_custom_button(__("Test Connection"), () => test_connection(frm));
			frm.add_custom_button(__("Replay Events"), () => replay_many(frm), __("Actions"));
			if (frm.doc.webhook_enabled) {
				frm.add_custom_button(__("Send Test Webhook"), () => once_saved(frm, send_test));
				frm.add_custom_button(__("Accept New Secret"), () => once_saved(frm, accept_secret), __("Actions"));
				frm.add_custom_button(__("Rotate Webhook Secret"), () => once_saved(frm, rotate_secret), __("Actions"));
			}
		}
		for (const [label, doctype] of [
			[__("Streams"), "Sync Settings"],
			[__("Events"), "Webhook Log"],
			[__("Runs"), "Sync Log"],
			[__("Failures"), "Integration Error Log"],
		]) {
			frm.add_custom_button(
				label,
				() => frappe.set_route("List", doctype, { integration: frm.doc.name }),
				__("View")
			);
		}
		load_health(frm);
	},
	webhook_enabled: show_endpoint,
	webhook_scheme(frm) {
		show_endpoint(frm);
		move_record_paths(frm);
	},
});

frappe.ui.form.on("Webhook Route", {
	routes_add(frm, doctype, name) {
		frappe.model.set_value(doctype, name, "record_path", usual_record_path(frm.doc.webhook_scheme));
	},
});

// Where the senders of a scheme put the record of an event; "" for the body itself.
function usual_record_path(scheme) {
	return frappe.boot.integration_hub?.record_paths[scheme] ?? "data";
}

// Rows that were only just added, and stand as they came, go along with the scheme.
function move_record_paths(frm) {
	const before = usual_record_path(frm.hub_scheme);
	for (const row of frm.doc.routes || []) {
		if (row.__islocal && (row.record_path || "") === before) {
			frappe.model.set_value(row.doctype, row.name, "record_path", usual_record_path(frm.doc.webhook_scheme));
		}
	}
	frm.hub_scheme = frm.doc.webhook_scheme;
}

// Names that other apps register stand beside the built-in ones; one that is gone stays, until somebody chooses another.
function offer_choices(frm) {
	const known = frappe.boot.integration_hub;
	if (!known) return;
	for (const field of ["connector", "webhook_scheme"]) {
		const own = frm.doc[field];
		const names = own && !known[field].includes(own) ? [...known[field], own] : known[field];
		frm.set_df_property(field, "options", names.join("\n"));
	}
	frm.fields_dict.routes.grid.update_docfield_property("handler", "options", known.handler);
}

// What is tried is what stands in the database.
async function once_saved(frm, work) {
	if (await saved(frm)) return work(frm);
}

async function test_connection(frm) {
	if (!(await saved(frm))) return;
	const { message: found } = await frappe.call({
		method: "integration_hub.api.test_connection",
		args: { integration: frm.doc.name },
		freeze: true,
		freeze_message: __("Calling {0} …", [frm.doc.base_url]),
	});
	if (found.paused) return show_pause(frm, found.paused);
	frappe.msgprint({
		title: found.ok ? __("Connected") : __("Not Connected"),
		indicator: found.ok ? "green" : "red",
		message: found.ok
			? `<p style="overflow-wrap: anywhere">${escaped(found.message)}</p>
				<p class="text-muted small">${__("In {0} s.", [found.seconds])}</p>`
			: failure(found),
	});
	frm.reload_doc();
}

// It asked for a pause, or the rate budget is used up: nobody waits for it.
function show_pause(frm, seconds) {
	frappe.msgprint({
		title: __("Paused, {0} s", [seconds]),
		indicator: "orange",
		message: __("The next call may be made in {0} s: the rate budget is used up, or the system asked for a pause.", [seconds]),
	});
	load_health(frm);
}

function failure(found) {
	const line = (label, value) =>
		value ? `<p class="mb-1" style="overflow-wrap: anywhere"><span class="text-muted">${label}:</span> ${escaped(value)}</p>` : "";
	return `<p><b>${escaped(found.what)}</b></p>
		${line(__("Why"), found.detail)}
		${line(__("Where"), found.request)}
		${line(__("Answer"), found.status && [__("HTTP {0}", [found.status]), found.body].filter(Boolean).join(" "))}
		${found.hint ? `<p class="mt-3">${escaped(found.hint)}</p>` : ""}`;
}
