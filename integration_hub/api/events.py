"""Whitelisted methods of events in the inbox: replay, and what a replay would change."""

import frappe
from frappe import _
from frappe.utils import escape_html

from integration_hub.integration_hub import operator_actions, run_as
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores import inbox
from integration_hub.webhooks import replay


@frappe.whitelist(methods=["POST"])
def replay_events(names: str | list) -> int:
	"""Have events handled again, from their first attempt; return how many."""
	return replay.replay(FrappeRuntime(), operator_actions.replayable(names))


@frappe.whitelist(methods=["POST"])
def replay_since(integration: str, since: str | None = None, failed: bool | str = True) -> int:
	"""Have an integration's events handled again: those that failed, those received since a time, or both in one."""
	run_as.check("Run", integration)
	statuses = replay.FAILED if frappe.utils.sbool(failed) else ()
	if not statuses and not since:
		frappe.throw(_("Enter a time, or choose failed events only."))
	runtime = FrappeRuntime()
	try:
		time = frappe.utils.get_datetime(since).strftime("%Y-%m-%d %H:%M:%S") if since else ""
	except (ValueError, AttributeError):
		frappe.throw(_("{0}: {1} is not a time.").format(_("Received Since"), escape_html(since)))
	return replay.replay(
		runtime, inbox.select(runtime, integration=integration, statuses=statuses, since=time)
	)


@frappe.whitelist(methods=["POST"])
def handle_conflict(name: str) -> int:
	"""Have an event that came under another one's id handled as one of its own; see operator_actions.handle_conflict."""
	return operator_actions.handle_conflict(name)


@frappe.whitelist(methods=["POST"])
def preview_replay(names: str | list) -> list[dict]:
	"""Return what handling events again would change, and change nothing; see operator_actions.effects."""
	return operator_actions.effects(names)
