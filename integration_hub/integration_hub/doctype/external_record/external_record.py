import frappe
from frappe.model.document import Document

from integration_hub.stores.schema import INDEXES


class ExternalRecord(Document):
	"""The binding of one external id to one local document."""


def on_doctype_update() -> None:
	for fields in INDEXES["External Record"]:
		frappe.db.add_index("External Record", list(fields))
