from frappe.model.document import Document

from integration_hub.integration_hub.run_as import refuse_by_itself


class WebhookRoute(Document):
	"""A row of its parent's table."""

	def validate(self) -> None:
		"""Only called for a row that is saved without its document."""
		refuse_by_itself(self)

	def on_trash(self) -> None:
		"""Only called for a row that is deleted without its document's being saved or deleted."""
		refuse_by_itself(self)

	def before_rename(self, old: str, new: str, merge: bool = False) -> None:
		"""Refuse to rename a row: its document names it."""
		refuse_by_itself(self)
