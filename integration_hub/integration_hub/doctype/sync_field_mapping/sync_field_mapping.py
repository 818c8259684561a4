from frappe.model.document import Document


class SyncFieldMapping(Document):
	"""A row of its parent's table."""
