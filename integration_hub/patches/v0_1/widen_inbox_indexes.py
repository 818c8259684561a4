"""The inbox's indexes have got other columns; those it had go."""

from integration_hub.runtime.frappe.indexes import add_indexes


def execute() -> None:
	"""Add and drop indexes as a site that is new has them."""
	add_indexes("Webhook Log")
