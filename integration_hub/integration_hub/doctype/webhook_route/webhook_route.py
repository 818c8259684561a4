from frappe.model.document import Document

from integration_hub.integration_hub.run_as import refuse_by_itself


class WebhookRoute(Document):
	"""A row of its parent's table."""

	def validate(self) -> None:
		"""Refuse to save a row by itself: Frappe calls this only then."""
		refuse_by_itself(self)

	def on_trash(self) -> None:
		"""Refuse to delete a row by itself: Frappe calls this only then."""
		refuse_by_itself(self)

	def before_rename(self, old: str, new: str, merge: bool = False) -> None:
		"""Refuse to rename a row by itself."""
		refuse_by_itself(self)
