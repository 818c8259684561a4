{% include "integration_hub/public/js/saved.js" %}
{% include "integration_hub/public/js/cells.js" %}
{% include "integration_hub/public/js/integration_health.js" %}
{% include "integration_hub/public/js/integration_door.js" %}
{% include "integration_hub/public/js/replay_many.js" %}

frappe.ui.form.on("Integration Settings", {
	setup: offer_choices,
	onload(frm) {
		// They are others' secrets: how strong they are is not for a person here to choose.
		for (const field of Object.values(frm.fields_dict)) field.disable_password_checks?.();
	},
	refresh(frm) {
		show_door(frm);
		if (frm.is_new()) return;
		if (frm.has_perm("write")) {
			frm.add_custom_button(__("Test Connection"), () => test_connection(frm));
			frm.add_custom_button(__("Replay Events"), () => replay_many(frm), __("Actions"));
			if (frm.doc.webhook_enabled) {
				frm.add_custom_button(__("Send Test Webhook"), () => once_saved(frm, send_test));
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
	webhook_enabled: show_door,
	webhook_scheme: show_door,
});

async function offer_choices(frm) {
	const { message } = await frappe.call({ method: "integration_hub.api.choices", type: "GET" });
	for (const field of ["connector", "webhook_scheme"]) {
		frm.set_df_property(field, "options", message[field]);
		frm.fields_dict[field].set_data?.(message[field]); // v15 reads the options only once
	}
	frm.fields_dict.routes.grid.update_docfield_property("handler", "options", message.handler);
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

// It asked for a pause, or the rate budget is used up: nothing was sent, and nobody waits for it.
function show_pause(frm, seconds) {
	frappe.msgprint({
		title: __("Paused, {0} s", [seconds]),
		indicator: "orange",
		message: __("The next call may be made in {0} s: the rate budget is used up, or the system asked for a pause. Nothing was sent.", [seconds]),
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
