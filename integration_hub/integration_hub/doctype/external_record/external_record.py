import frappe
from frappe.model.document import Document

from integration_hub.integration_hub.origins import doctypes_of
from integration_hub.stores.schema import INDEXES


class ExternalRecord(Document):
	"""The binding of one external id to one local document."""

	def onload(self) -> None:
		"""Tell the form what the ids stand for: a run or an event, if it is still kept, and a document."""
		kinds = doctypes_of([self.made_by, self.changed_by])
		origins = {field: kinds.get(self.get(field)) for field in ("made_by", "changed_by")}
		self.set_onload("origins", origins)
		exists = self.target_name and frappe.db.exists(self.target_doctype, self.target_name)
		self.set_onload("document_exists", bool(exists))


def on_doctype_update() -> None:
	for fields in INDEXES["External Record"]:
		frappe.db.add_index("External Record", list(fields))
