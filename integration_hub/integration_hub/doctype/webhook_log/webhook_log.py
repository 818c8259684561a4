from frappe.model.document import Document

from integration_hub.homes.site import SiteHome
from integration_hub.homes.site.indexes import add_indexes
from integration_hub.stores.retention import clear_inbox


class WebhookLog(Document):
	"""One event in the inbox."""

	@staticmethod
	def clear_old_logs(days: int = 30) -> None:
		"""Delete completed events older than `days`, and others as their integration says; called by Log Settings."""
		clear_inbox(SiteHome(), days)


def on_doctype_update() -> None:
	add_indexes("Webhook Log")
