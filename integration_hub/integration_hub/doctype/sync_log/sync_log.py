import frappe
from frappe.model.document import Document

from integration_hub.homes.site import SiteHome
from integration_hub.stores.retention import clear_settled
from integration_hub.stores.schema import INDEXES


class SyncLog(Document):
	"""One run of a stream."""

	@staticmethod
	def clear_old_logs(days: int = 30) -> None:
		"""Delete what is settled and older than `days`; called by Log Settings."""
		clear_settled(SiteHome(), "Sync Log", days)


def on_doctype_update() -> None:
	for fields in INDEXES.get("Sync Log", ()):
		frappe.db.add_index("Sync Log", list(fields))
