// The catalogue of senders on Integration Settings: what each needs, and where the URL and the secret go.

let senders; // fetched once

async function known_senders() {
	senders ??= (await frappe.call({ method: "integration_hub.api.senders", type: "GET" })).message;
	return senders;
}

async function choose_sender(frm) {
	const all = await known_senders();
	const dialog = new frappe.ui.Dialog({
		title: __("Choose a Sender"),
		size: "large",
		fields: [
			{ fieldname: "search", fieldtype: "Data", label: __("Search"), placeholder: __("Name or kind of sender") },
			{ fieldname: "list", fieldtype: "HTML" },
		],
	});
	const $list = dialog.fields_dict.list.$wrapper.addClass("hub-senders");
	const draw = () => $list.html(sender_rows(all, dialog.get_value("search") || ""));
	dialog.fields_dict.search.$input.on("input", draw);
	$list.on("click", ".hub-choose", (event) => {
		take_sender(frm, all.find(({ name }) => name === event.currentTarget.dataset.sender));
		dialog.hide();
	});
	draw();
	dialog.show();
}

function sender_rows(all, search) {
	const words = search.toLowerCase().split(/\s+/).filter(Boolean);
	const found = all.filter((sender) => {
		const text = `${sender.name} ${sender.group} ${__(sender.group)}`.toLowerCase();
		return words.every((word) => text.includes(word));
	});
	if (!found.length) return `<p class="text-muted">${__("No sender matches. Choose HMAC, Public Key, Token or Basic.")}</p>`;
	return found.map(sender_row).join("");
}

function sender_row(sender) {
	return `<div class="hub-sender border-bottom py-2 d-flex align-items-start justify-content-between" style="gap: var(--margin-md)">
		<div>
			<b>${escaped(sender.name)}</b> <span class="text-muted small">${escaped(__(sender.group))}</span>
			${sender_help(sender)}
		</div>
		<button class="btn btn-xs btn-default hub-choose" data-sender="${escaped(sender.name)}">${__("Choose")}</button>
	</div>`;
}

// Labels of the sender's own pages stay as they are there.
function sender_help(sender) {
	const line = (label, text) => `<div class="small"><span class="text-muted">${label}:</span> ${marked(text)}</div>`;
	const notes = sender.notes.map((note) => `<div class="small">${marked(note)}</div>`).join("");
	return `${line(__("Put the URL at"), sender.address)}${line(__("Webhook Secret"), sender.secret)}${notes}
		<a class="small" href="${escaped(sender.documentation)}" target="_blank" rel="noopener noreferrer">${__("Documentation of the sender")}</a>`;
}

function marked(text) {
	return escaped(text)
		.replace(/`([^`]+)`/g, "<code>$1</code>")
		.replace(/\*([^*]+)\*/g, "<i>$1</i>");
}

function take_sender(frm, sender) {
	frm.set_value({ webhook_enabled: 1, webhook_scheme: sender.name });
	frm.scroll_to_field("webhook_scheme");
}

async function show_sender_help($place, scheme) {
	const sender = (await known_senders()).find(({ name }) => name === scheme);
	if (sender) $place.html(sender_help(sender));
}

// Some senders choose the secret themselves, and send it once.
async function accept_secret(frm) {
	const { message: until } = await frappe.call({
		method: "integration_hub.api.accept_new_secret",
		args: { integration: frm.doc.name },
		freeze: true,
	});
	frappe.show_alert({
		message: __("The secret that the sender sends until {0} is taken.", [frappe.datetime.str_to_user(until)]),
		indicator: "green",
	});
	frm.reload_doc();
}
