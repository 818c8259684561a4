from frappe.model.document import Document

from integration_hub.homes.site import SiteHome
from integration_hub.homes.site.indexes import add_indexes
from integration_hub.stores.retention import clear_settled
from integration_hub.sync.faults import chore_guard


class SyncLog(Document):
	"""One run of a stream."""

	@staticmethod
	def clear_old_logs(days: int = 30) -> None:
		"""Delete what is settled and older than `days`; called by Log Settings."""
		home = SiteHome()
		with chore_guard(home)(""):
			clear_settled(home, "Sync Log", days)


def on_doctype_update() -> None:
	add_indexes("Sync Log")
