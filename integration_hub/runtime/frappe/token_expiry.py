"""Expiry of the tokens that integrations were given and nothing renews."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Iterator

import frappe

from integration_hub.runtime.frappe.runtime import FrappeRuntime
from integration_hub.runtime.monitors import Problem, expiring
from integration_hub.stores.runtime import HubError
from integration_hub.sync.fault_isolation import isolated

_NEVER = 250_000_000_000.0  # the year 9892: later ends have no date
_PASTED = ("Bearer", "API Key Header", "API Key Query")


def expiring_tokens(runtime: FrappeRuntime) -> Iterator[Problem]:
	"""Return the enabled integrations whose token ends soon and cannot be refreshed.

	What OAuth2 renews by itself is left out; a refused renewal is a failure of its own.
	"""
	fields = ["name", "auth_type", "connected_app", "connected_user"]
	for row in frappe.get_all("Integration Settings", filters={"enabled": 1}, fields=fields):
		end = None
		with isolated(runtime, operation="Look for Problems", integration=row.name):
			end = _end(runtime, row)
		if end:
			yield from expiring(runtime, row.name, end)


def _end(runtime: FrappeRuntime, row: frappe._dict) -> float | None:
	if row.auth_type in _PASTED:
		return stated_end(_secret(runtime, row.name))
	if row.auth_type == "Connected App":
		return _end_of_connection(row.connected_app, row.connected_user or "Administrator")
	return None


def stated_end(token: str) -> float | None:
	"""Return the end that a token states of itself (the claim `exp` of a JWT, RFC 7519), in seconds since the epoch."""
	parts = token.split(".")
	if len(parts) != 3:
		return None
	try:
		claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
		return min(float(claims["exp"]), _NEVER)
	except (binascii.Error, ValueError, TypeError, KeyError, RecursionError, OverflowError):
		return None


def _secret(runtime: FrappeRuntime, integration: str) -> str:
	try:
		return str(runtime.secrets(integration).get("secret") or "")
	except HubError:
		return ""  # it cannot be decrypted, which its calls say


def _end_of_connection(app: str, user: str) -> float | None:
	"""Return when a Connected App's token ends; None if there is none, or a refresh token renews it."""
	name = frappe.db.get_value("Token Cache", {"connected_app": app, "user": user})
	if not name:
		return None
	token = frappe.get_doc("Token Cache", name)
	if not token.expires_in or token.get_password("refresh_token", raise_exception=False):
		return None
	return time.time() + token.get_expires_in()
