import frappe
from frappe.model.document import Document

from integration_hub.integration_hub.provenance import doctypes_of
from integration_hub.runtime.frappe.indexes import add_indexes


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
	"""Add the indexes of External Record that its JSON cannot describe (called by `bench migrate`)."""
	add_indexes("External Record")
