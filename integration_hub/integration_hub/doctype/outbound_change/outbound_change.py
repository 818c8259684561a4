from frappe.model.document import Document


class OutboundChange(Document):
	"""One change of a document that outbound streams have not taken up yet: the outbox."""
