"""Notifications of problems: each new one goes through those of the app.

runtime/monitors.py finds the problems and words them. The Notifications are no standard ones, which Frappe lets nobody change, or switch on again: a person may. A migration leaves what was
changed.
"""

from __future__ import annotations

import traceback

import frappe
from frappe import _

from integration_hub.connectors.app_code import attempt
from integration_hub.runtime import monitors
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.token_expiry import expiring_tokens

# What Notifications of the event Method wait for; the second only where the site can send mail.
TOLD, TOLD_BY_MAIL = "integration_hub_problem", "integration_hub_problem_by_mail"


def _marked(_) -> tuple[str, ...]:
	"""The sentences of the Notifications, where the translation tools find them."""
	return (
		_("Stream {0} keeps failing"),
		_("Events of {0} failed for good"),
		_("Nothing arrives from {0} anymore"),
		_("The access token of {0} ends soon"),
		_("Integration Hub: {0}, {1}"),
		_("They are kept. Fix the cause, then replay them."),
		_("Open the failure"),
		_("Check whether the source still sends, and whether its address and secret are still right."),
		_("Open the failure to retry it; the stream's runs say what went wrong."),
		_("Set a new one in the Integration Settings, or connect the Connected App again."),
	)


def notify_of_problems() -> list[str]:
	"""Look for problems, and tell of those that are new; return the rows of the error log that stand for them."""
	runtime = FrappeRuntime()
	return monitors.check_problems(runtime, expiring_tokens(runtime), _notify)


def _notify(name: str) -> None:
	"""Run the Notifications for one problem; one that cannot be sent keeps no other from being."""
	problem = frappe.get_doc("Integration Error Log", name)
	for event in (TOLD, *([TOLD_BY_MAIL] if _can_mail() else [])):
		with attempt() as sent:  # a mail server, somebody's own Notification
			problem.run_notifications(event)
		if sent.error:
			frappe.clear_messages()
			problem.log_error(
				_("A problem could not be reported"), "".join(traceback.format_exception(sent.error))
			)


def _can_mail() -> bool:
	return bool(frappe.db.exists("Email Account", {"enable_outgoing": 1, "default_outgoing": 1}))
