from frappe.model.document import Document


class WebhookRoute(Document):
	"""A row of its parent's table."""
