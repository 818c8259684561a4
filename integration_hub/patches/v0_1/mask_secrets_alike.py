"""Give each secret's mask in the documents one length: Frappe's was as long as the secret."""

import frappe

from integration_hub.connectors.secrets import SECRET_FIELDS
from integration_hub.integration_hub.doctype.integration_settings.integration_settings import MASK


def execute() -> None:
	"""Write the mask of one length wherever a secret's mask stands."""
	table = frappe.qb.DocType("Integration Settings")
	for field in SECRET_FIELDS:
		frappe.qb.update(table).set(table[field], MASK).where(table[field].like("*%")).run()
