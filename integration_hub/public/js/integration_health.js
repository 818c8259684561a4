// The field Health of Integration Settings.

const HEALTH_COLORS = { OK: "green", Failing: "red", Paused: "orange", "To Look At": "orange" };

async function load_health(frm) {
	const { name } = frm.doc; // one form shows all documents of its DocType: an answer may come late
	if (frm.hub_health_of !== name) frm.fields_dict.health.$wrapper.empty();
	const { message } = await frappe.call({
		method: "integration_hub.api.health",
		type: "GET",
		args: { integration: name },
	});
	if (!message || cur_frm !== frm || frm.doc.name !== name) return;
	frm.hub_health_of = name;
	show_health(frm, message);
	show_state(frm, message.standing.status);
}

// The pill beside the title: no column holds the state, so Frappe finds none for it.
function show_state(frm, status) {
	if (frm.doc.enabled && !frm.is_dirty()) frm.page.set_indicator(__(status), HEALTH_COLORS[status] || "gray");
}

function show_health(frm, health) {
	const name = frm.doc.name;
	const known = health.error
		? `<div class="alert alert-danger">${escaped(health.error)}</div>`
		: "";
	const count = (number, color, doctype, filters) => [
		number ? color : "gray",
		number ? list_link(doctype, { integration: name, ...filters }, __("{0}", [number])) : "0",
	];
	const [waiting_color, waiting] = count(health.waiting, "blue", "Webhook Log", {
		status: ["in", ["Queued", "Processing"]],
	});
	const [failed_color, failed] = count(health.failed, "red", "Webhook Log", {
		status: ["in", ["Failed", "Dead"]],
	});
	const [look_color, look_at] = count(health.look_at, "orange", "Webhook Log", {
		status: ["in", ["Unrouted", "Conflict"]],
	});
	const [failing_color, failing] = count(health.failing, "red", "Sync Settings", {
		status: ["in", ["Failing", "Needs Approval"]],
	});
	const fails = frm.doc.last_failure_at && frm.doc.last_failure_at > (frm.doc.last_success_at || "");
	frm.fields_dict.health.$wrapper.html(
		health.warnings.map((text) => `<div class="alert alert-warning hub-nobody">${escaped(text)}</div>`).join("") +
			known +
			standing_html(health.standing) +
			cells([
				!health.error && calls_cell(health),
				cell(frm.doc.last_success_at ? "green" : "gray", __("Last Success"), ago(frm.doc.last_success_at)),
				cell(fails ? "red" : "gray", __("Last Failure"), ago(frm.doc.last_failure_at)),
				!health.error && budget_cell(health),
				health.token && token_cell(health.token),
				cell(waiting_color, __("Events Waiting"), waiting),
				cell(failed_color, __("Failed Events"), failed),
				cell(look_color, __("Events to Look At"), look_at),
				health.queue && queue_cell(health.queue),
				cell(failing_color, __("Streams Failing"), `${failing} ${__("of {0}", [health.streams])}`),
			]) +
			(fails && frm.doc.last_error ? `<p class="small text-danger" dir="auto">${escaped(frm.doc.last_error)}</p>` : "")
	);
}

// The status and why it is no better, above all counters.
function standing_html({ status, why }) {
	const reasons = why.map((text) => `<li><bdi>${escaped(text)}</bdi></li>`).join("");
	return `<div class="hub-standing mb-3"><span class="indicator-pill ${HEALTH_COLORS[status] || "gray"}">${__(status)}</span>
		${reasons ? `<ul class="mt-2 mb-0 pl-4" style="overflow-wrap: anywhere">${reasons}</ul>` : ""}</div>`;
}

function queue_cell({ read_at, message_at, depth, error, unread }) {
	if (error) return cell("red", __("Queue"), __("Cannot be read"));
	if (unread) return cell("red", __("Queue"), `${__("Read last")} ${ago(read_at)}`);
	if (!read_at) return cell("gray", __("Queue"), __("Not read yet"));
	const waiting = depth < 0 ? "" : `, ${depth === 1 ? __("1 message waits") : __("{0} messages wait", [depth])}`;
	return cell("green", __("Queue"), `${__("Last message")} ${ago(message_at)}${waiting}`);
}

function calls_cell(health) {
	const colors = { Closed: "green", "Half-Open": "orange", Open: "red" };
	const states = {
		Closed: __("Allowed"),
		"Half-Open": __("One call is tried next"),
		Open: __("Paused for {0} s after failures", [health.pause]),
	};
	return cell(colors[health.breaker], __("Requests to the System"), states[health.breaker]);
}

function budget_cell({ budget, shared }) {
	const alone = shared ? "" : ` (${__("counted by each worker: no Redis")})`;
	if (!budget) return cell(shared ? "gray" : "orange", __("Rate Budget"), __("No limit") + alone);
	if (budget.wait > budget.period || !budget.limit) {
		return cell("orange", __("Rate Budget"), __("Next call in {0} s", [Math.ceil(budget.wait)]) + alone);
	}
	const left = __("{0} of {1} left in {2} s", [budget.left, budget.limit, budget.period]);
	return cell(budget.left && shared ? "green" : "orange", __("Rate Budget"), left + alone);
}

function token_cell({ expires_at, renews }) {
	if (!expires_at) {
		const none = renews ? __("None yet: the next call gets one") : __("None, or one that does not expire");
		return cell("gray", __("Token"), none);
	}
	const valid = expires_at > frappe.datetime.system_datetime();
	// comment_when says nothing of what is to come.
	if (valid) return cell("green", __("Token Expires"), escaped(user_time(expires_at)));
	const when = frappe.datetime.comment_when(expires_at);
	if (renews) return cell("orange", __("Token Expires"), __("{0}, the next call renews it", [when]));
	return cell("red", __("Token Expires"), __("{0}, and it cannot be renewed: connect the Connected App again", [when]));
}

function user_time(time) {
	return frappe.datetime.str_to_user(frappe.datetime.convert_to_user_tz(time));
}
