"""A sandbox CRM at the press of a button, where the site's owner allows it."""

from __future__ import annotations

import subprocess
from typing import Any

import frappe
from frappe import _

from integration_hub.integration_hub import run_as
from integration_hub.sandbox import alone
from integration_hub.sandbox.access import API_KEY


def start() -> dict[str, Any]:
	"""Start the sandbox on this machine, unless it runs, and return the values of an Integration Settings for it.

	It answers on 127.0.0.1 alone, for an hour. Only in developer mode, or where site_config.json says
	`integration_hub_sandbox`, and for a System Manager.
	"""
	if not run_as.is_system_manager():  # Frappe's only_for lets everybody in while tests run
		frappe.throw(_("Only a System Manager starts a sandbox."), frappe.PermissionError)
	if not allowed():
		frappe.throw(
			_("This site starts no sandbox: its site_config.json says neither {0} nor {1}.").format(
				"integration_hub_sandbox", "developer_mode"
			),
			title=_("No Sandbox"),
		)
	try:
		url = alone.start()
	except (OSError, TimeoutError, subprocess.SubprocessError) as error:
		frappe.throw(_("The sandbox did not start: {0}").format(str(error)), title=_("No Sandbox"))
	return {
		"integration_name": "sandbox-crm",
		"base_url": url,
		"test_path": "/v1/me",
		"auth_type": "API Key Header",
		"secret": API_KEY,
	}


def allowed() -> bool:
	"""Tell whether the site's owner lets a sandbox be started."""
	return bool(frappe.conf.developer_mode or frappe.conf.get("integration_hub_sandbox"))
