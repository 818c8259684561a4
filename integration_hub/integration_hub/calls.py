"""Calls that apps make in their own code through a connector: what they fail with is logged by integration."""

from __future__ import annotations

import frappe

from integration_hub.connectors.errors import ConnectorError
from integration_hub.connectors.secrets import redactor_for
from integration_hub.homes.site import SiteHome
from integration_hub.homes.site.aside import aside
from integration_hub.stores.errors import record_error

OPERATION = "Call"


def log_call(integration: str, error: ConnectorError) -> None:
	"""Log a failed call on a connection of its own, whatever becomes of the caller's transaction.

	On a SQLite site a second writer would wait for the caller, who waits for it: there the row is written within the
	caller's transaction where that has written already, and goes with it if it is rolled back.
	"""
	try:
		if frappe.db.db_type == "sqlite" and frappe.db.transaction_writes:
			_within(integration, error)
		else:
			aside(lambda: _log(integration, error))
	except Exception as failure:  # noqa: BLE001 - the caller is given the error of its call, and not that of a log
		frappe.logger("integration_hub").error(f"A failed call could not be logged: {type(failure).__name__}")


def _log(integration: str, error: ConnectorError) -> None:
	SiteHome().log_error(error, integration=integration, operation=OPERATION)


def _within(integration: str, error: ConnectorError) -> None:
	home = SiteHome()
	redactor = redactor_for(home.secrets(integration))
	record_error(home, error, operation=OPERATION, integration=integration, redactor=redactor)
