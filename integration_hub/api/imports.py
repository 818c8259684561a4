"""Whitelisted methods of Import: what a description of an API would become, and making it."""

import frappe

from integration_hub.integration_hub import imports


@frappe.whitelist(methods=["POST"])
def describe_import(kind: str, text: str, name: str, answers: str | None = None) -> dict:
	"""Return what a description would become; see imports.describe."""
	return imports.describe(kind, text, name, imports.parsed(answers, dict))


@frappe.whitelist(methods=["POST"])
def make_import(
	kind: str,
	text: str,
	name: str,
	answers: str | None = None,
	secrets: str | None = None,
	streams: str | None = None,
) -> list[str]:
	"""Make the documents of a description, switched off; see imports.make."""
	given = imports.parsed(answers, dict), imports.parsed(secrets, dict), imports.parsed(streams, list)
	return imports.make(kind, text, name, *given)
