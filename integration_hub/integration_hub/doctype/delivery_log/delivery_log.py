from dataclasses import asdict

from frappe.model.document import Document

from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.indexes import add_indexes
from integration_hub.stores.attempts import attempts
from integration_hub.stores.deliveries import clear_deliveries
from integration_hub.stores.ordering import let_on_key
from integration_hub.stores.work_table import OUTBOX


class DeliveryLog(Document):
	"""One delivery of a document's change to an external system."""

	def onload(self) -> None:
		"""Give the form the attempts at the delivery."""
		self.set_onload("attempts", [asdict(attempt) for attempt in attempts(self.attempts_log)])

	def after_delete(self) -> None:
		"""Let on what has waited for it, within the transaction that deletes it."""
		if self.ordering_key and self.followed:
			let_on_key(FrappeRuntime(), self.integration, self.ordering_key, OUTBOX)

	@staticmethod
	def clear_old_logs(days: int = 30) -> None:
		"""Delete deliveries that were settled `days` ago; called by Log Settings."""
		clear_deliveries(FrappeRuntime(), days)


def on_doctype_update() -> None:
	"""Add the indexes of Delivery Log that its JSON cannot describe (called by `bench migrate`)."""
	add_indexes("Delivery Log")
