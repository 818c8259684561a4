"""Server Scripts as handlers of events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import frappe

from integration_hub.stores.runtime import HubError

DOCTYPE = "Server Script"


def script_problem(name: str) -> str:
	"""Return why a Server Script cannot handle events, "" if it can."""
	found = frappe.db.get_value(DOCTYPE, name, ["script_type", "disabled"], as_dict=True)
	if not found:
		return "does not exist"
	if found.script_type != "API":
		return "is not of type API"
	return "is disabled" if found.disabled else ""


def run_script(name: str, args: Mapping[str, Any]) -> None:
	"""Run a Server Script of type API with the names in `args`, within the current transaction.

	It may neither commit nor roll back: its writes commit together with the event. Raises HubError where it may
	not run, and whatever the script raises.
	"""
	from frappe.utils import safe_exec  # few need it, and it costs each start a sixth of a second

	if not safe_exec.is_safe_exec_enabled():
		raise HubError(
			"server scripts are disabled on this bench (server_script_enabled)", doctype=DOCTYPE, name=name
		)
	if problem := script_problem(name):
		raise HubError(problem, doctype=DOCTYPE, name=name)
	script = frappe.db.get_value(DOCTYPE, name, "script")
	names = {key: frappe._dict(value) if isinstance(value, dict) else value for key, value in args.items()}
	safe_exec.safe_exec(script, names, restrict_commit_rollback=True, script_filename=name)
