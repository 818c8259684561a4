import frappe
from frappe.model.document import Document

from integration_hub.homes.site import SiteHome
from integration_hub.stores.retention import clear_settled
from integration_hub.stores.schema import INDEXES


class IntegrationErrorLog(Document):
	"""One distinct failure."""

	@staticmethod
	def clear_old_logs(days: int = 90) -> None:
		"""Delete what is settled and older than `days`; called by Log Settings."""
		clear_settled(SiteHome(), "Integration Error Log", days)


def on_doctype_update() -> None:
	for fields in INDEXES.get("Integration Error Log", ()):
		frappe.db.add_index("Integration Error Log", list(fields))
