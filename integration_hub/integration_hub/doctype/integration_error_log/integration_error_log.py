import frappe
from frappe.model.document import Document

from integration_hub.integration_hub.retention import clear_old
from integration_hub.stores.schema import INDEXES


class IntegrationErrorLog(Document):
	"""One distinct failure."""

	@staticmethod
	def clear_old_logs(days: int = 90) -> None:
		"""Delete what is settled and older than `days`; called by Log Settings."""
		clear_old("Integration Error Log", days, ("Resolved",))


def on_doctype_update() -> None:
	for fields in INDEXES.get("Integration Error Log", ()):
		frappe.db.add_index("Integration Error Log", list(fields))
