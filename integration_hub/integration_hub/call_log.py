"""Calls that apps make in their own code through a connector: what they fail with is logged by integration."""

from __future__ import annotations

from collections.abc import Callable

import frappe

from integration_hub.connectors.app_code import attempt
from integration_hub.connectors.errors import ConnectorError
from integration_hub.connectors.secrets import redactor_for
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.autonomous import autonomous_transaction
from integration_hub.stores.error_log import record_error

OPERATION = "Call"


def log_call(integration: str, error: ConnectorError) -> None:
	"""Log a failed call, whatever becomes of the caller's transaction: on a connection of its own.

	A SQLite site has one writer at a time, and refuses to write from a snapshot that another has made old: there the
	row is written within the caller's transaction, and once more where that is rolled back.
	"""
	if frappe.db.db_type == "sqlite":
		_try(integration, error, _within)
		frappe.db.after_rollback.add(lambda: _try(integration, error, _log))
	else:
		_try(integration, error, lambda *what: autonomous_transaction(lambda: _log(*what)))


def _try(integration: str, error: ConnectorError, log: Callable[[str, ConnectorError], None]) -> None:
	with attempt() as logged:  # the app's own code is given the error of its call, and not that of a log
		log(integration, error)
	if logged.error:
		kind = type(logged.error).__name__
		frappe.logger("integration_hub").error(f"A failed call could not be logged: {kind}")


def _log(integration: str, error: ConnectorError) -> None:
	FrappeRuntime().log_error(error, integration=integration, operation=OPERATION)


def _within(integration: str, error: ConnectorError) -> None:
	runtime = FrappeRuntime()
	redactor = redactor_for(runtime.secrets(integration))
	record_error(runtime, error, operation=OPERATION, integration=integration, redactor=redactor)
