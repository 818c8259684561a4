from dataclasses import asdict

from frappe.model.document import Document

from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.indexes import add_indexes
from integration_hub.stores.attempts import attempts
from integration_hub.stores.failure_closing import close_events
from integration_hub.stores.ordering import let_on_key
from integration_hub.stores.retention import clear_inbox
from integration_hub.sync.fault_isolation import chore_guard
from integration_hub.webhooks.difference import difference


class WebhookLog(Document):
	"""One event in the inbox."""

	def onload(self) -> None:
		"""Give the form the attempts at the event, and how it differs from the one that it is in conflict with."""
		self.set_onload("attempts", [asdict(attempt) for attempt in attempts(self.attempts_log)])
		if self.status == "Conflict":
			first, found = difference(FrappeRuntime(), self.name)
			self.set_onload("difference", {"first": first, "places": [asdict(one) for one in found]})

	def after_delete(self) -> None:
		"""Let on what has waited for it, and close its failure, within the transaction that deletes it."""
		if self.ordering_key and self.followed:
			let_on_key(FrappeRuntime(), self.integration, self.ordering_key)
		close_events(FrappeRuntime(), self.integration, [self.error_log])

	@staticmethod
	def clear_old_logs(days: int = 30) -> None:
		"""Delete completed events older than `days`, and others as their integration says; called by Log Settings."""
		runtime = FrappeRuntime()
		clear_inbox(runtime, days, chore_guard(runtime))


def on_doctype_update() -> None:
	"""Add the indexes of Webhook Log that its JSON cannot describe (called by `bench migrate`)."""
	add_indexes("Webhook Log")
