from frappe.model.document import Document

from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.indexes import add_indexes
from integration_hub.stores.retention import clear_settled
from integration_hub.sync.fault_isolation import chore_guard


class IntegrationErrorLog(Document):
	"""One distinct failure."""

	@staticmethod
	def clear_old_logs(days: int = 90) -> None:
		"""Delete what is settled and older than `days`; called by Log Settings."""
		runtime = FrappeRuntime()
		with chore_guard(runtime)(""):
			clear_settled(runtime, "Integration Error Log", days)


def on_doctype_update() -> None:
	"""Add the indexes of Integration Error Log that its JSON cannot describe (called by `bench migrate`)."""
	add_indexes("Integration Error Log")
