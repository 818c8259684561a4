"""Whitelisted methods of one integration: how it is doing, a test of its connection, its removal."""

import frappe

from integration_hub.api.handover import hand_over
from integration_hub.integration_hub import health as hub_health
from integration_hub.integration_hub import removal, run_as, sandbox
from integration_hub.integration_hub.choices import choices as names
from integration_hub.integration_hub.connection_test import try_connection


@frappe.whitelist(methods=["POST"])
def test_connection(integration: str) -> dict:
	"""Call the external system; see connection_test.try_connection."""
	run_as.check("Run", integration)
	return try_connection(integration)


@frappe.whitelist(methods=["GET"])
def health(integration: str) -> dict:
	"""Return how an integration is doing now; see health.health."""
	frappe.get_doc("Integration Settings", integration).check_permission("read")
	return hub_health.health(integration)


@frappe.whitelist(methods=["GET"])
def choices() -> dict[str, list[str]]:
	"""Return the names that fields of Integration Settings may have: built in, and registered by apps."""
	frappe.has_permission("Integration Settings", "read", throw=True)
	return names()


@frappe.whitelist(methods=["POST"])
def start_sandbox() -> dict:
	"""Start a small CRM to try things against, for an hour; see sandbox.start."""
	return sandbox.start()


@frappe.whitelist(methods=["GET"])
def integration_states() -> dict[str, dict]:
	"""Return the status of each integration that the user may read, and why; see health.standings."""
	frappe.has_permission("Integration Settings", "read", throw=True)
	return hub_health.standings()


@frappe.whitelist(methods=["GET"])
def removal_plan(integration: str) -> dict:
	"""Return what goes with an integration; see removal.plan."""
	return removal.plan(integration)


@frappe.whitelist(methods=["POST"])
def delete_integration(integration: str) -> list[str]:
	"""Delete an integration and all that belongs to it; where that is much, a worker does. Return warnings; see removal."""
	if not removal.plan(integration)["large"]:
		removal.remove(integration)
		return []
	return hand_over(
		"integration_hub.jobs.delete_integration",
		job_id=f"integration_hub:delete:{integration}",
		integration=integration,
	)
