// The webhook endpoint on Integration Settings: its URL, a test event, the secret's rotation.

function webhook_url(frm) {
	return `${window.location.origin}/api/method/integration_hub.api.webhook/${frm.doc.name}`;
}

function show_endpoint(frm) {
	const $place = frm.fields_dict.webhook_door.$wrapper.empty();
	if (!frm.doc.webhook_enabled) return;
	if (frm.is_new()) {
		$place.html(`<p class="text-muted small">${__("Save to see the URL for the sender.")}</p>`);
		return;
	}
	$place.html(`<label class="control-label">${__("URL for the Sender")}</label>
		<div class="d-flex align-items-start" style="gap: var(--margin-sm)">
			<code class="hub-url" style="word-break: break-all">${escaped(webhook_url(frm))}</code>
			<button class="btn btn-xs btn-default hub-copy">${__("Copy")}</button>
		</div>
		<div class="help-box text-muted hub-sender-help"><p class="small">${__("The sender posts its events to this URL.")}</p></div>`);
	show_sender_help($place.find(".hub-sender-help"), frm.doc.webhook_scheme);
	$place.find(".hub-copy").on("click", () => frappe.utils.copy_to_clipboard(webhook_url(frm)));
}

function send_test(frm) {
	const types = frm.doc.routes.map((row) => row.event_pattern).filter((pattern) => !pattern.includes("*"));
	const dialog = new frappe.ui.Dialog({
		title: __("Send Test Webhook"),
		fields: [
			{
				fieldname: "event_type",
				fieldtype: "Autocomplete",
				label: __("Event Type"),
				options: types,
				description: __("Leave empty for a test type. If a route matches the type, the event is handled like any other."),
			},
			{
				fieldname: "payload",
				fieldtype: "Code",
				options: "JSON",
				label: __("Body"),
				description: __("Leave empty for a short test body. The event's ID and type are added automatically."),
			},
		],
		primary_action_label: __("Sign and Send"),
		primary_action: async (values) => {
			const { message } = await frappe.call({
				method: "integration_hub.api.send_test_webhook",
				args: { integration: frm.doc.name, ...values },
				freeze: true,
			});
			dialog.hide();
			show_answer(message);
			load_health(frm);
		},
	});
	dialog.show();
}

function show_answer({ status, reason, event_id, log }) {
	const meanings = {
		received: __("The event was received, and a worker is handling it."),
		unrouted: __("The event was received. No route matches its type, so it waits as Unrouted."),
		duplicate: __("This event had been received before; the delivery was counted."),
		conflict: __("An event with the same ID and another body came before: a person has to decide."),
		challenge: __("It was answered as a handshake; it is not an event."),
		no_secret_set: __("No Webhook Secret is set: every event is rejected."),
		signature_wrong: __("The signature does not match the secret."),
		not_configured: __("The settings are incomplete or wrong: see Failures."),
		not_stored: __("The event could not be stored; the sender would try again."),
	};
	const good = status < 300;
	const link = log
		? `<p><a href="${frappe.utils.get_form_link("Webhook Log", log)}">${__("Open the Event")}</a></p>`
		: "";
	frappe.msgprint({
		title: good ? __("The Event Was Accepted") : __("The Event Was Rejected"),
		indicator: good ? "green" : "red",
		message: `<p>${__("Answer")}: <b>${status} ${escaped(reason)}</b></p>
			<p>${meanings[reason] || ""}</p>
			<p class="text-muted small" style="overflow-wrap: anywhere">${__("Event ID")}: ${escaped(event_id)}</p>${link}`,
	});
}

function rotate_secret(frm) {
	const dialog = new frappe.ui.Dialog({
		title: __("Rotate Webhook Secret"),
		fields: [
			{ fieldname: "secret", fieldtype: "Password", label: __("New Secret"), reqd: 1 },
			{
				fieldtype: "HTML",
				options: `<p class="text-muted small">${__("From now on both secrets are accepted, the new one and the current one. Enter the new one at the sender, then clear Previous Webhook Secret.")}</p>`,
			},
		],
		primary_action_label: __("Rotate"),
		primary_action: async ({ secret }) => {
			if (!(await may_drop_previous(frm))) return;
			await frappe.call("integration_hub.api.rotate_webhook_secret", {
				integration: frm.doc.name,
				secret,
				drop_previous: Boolean(frm.doc.webhook_secret_old),
			});
			dialog.hide();
			frm.reload_doc();
			frappe.show_alert({ message: __("Both secrets are accepted now"), indicator: "green" });
		},
	});
	dialog.fields_dict.secret.df.no_strength_check = 1;
	dialog.show();
}

// Two are taken at a time: a third one pushes out the first, which a sender may still use.
function may_drop_previous(frm) {
	if (!frm.doc.webhook_secret_old) return true;
	return new Promise((resolve) => {
		frappe.confirm(
			__("The previous secret is still accepted. After this it is not, and events from a sender that uses it are rejected. Does no sender use it anymore?"),
			() => resolve(true),
			() => resolve(false)
		);
	});
}
