import frappe
from frappe.model.document import Document

from integration_hub.integration_hub.retention import clear_old
from integration_hub.stores.schema import INDEXES


class WebhookLog(Document):
	"""One event in the inbox."""

	@staticmethod
	def clear_old_logs(days: int = 30) -> None:
		"""Delete what is settled and older than `days`; called by Log Settings."""
		clear_old("Webhook Log", days, ("Completed",))


def on_doctype_update() -> None:
	for fields in INDEXES.get("Webhook Log", ()):
		frappe.db.add_index("Webhook Log", list(fields))
