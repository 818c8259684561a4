import frappe
from frappe.model.document import Document

from integration_hub.homes.site import SiteHome
from integration_hub.stores.retention import clear_inbox
from integration_hub.stores.schema import FORMER_INDEXES, INDEXES, index_name


class WebhookLog(Document):
	"""One event in the inbox."""

	@staticmethod
	def clear_old_logs(days: int = 30) -> None:
		"""Delete completed events older than `days`, and others as their integration says; called by Log Settings."""
		clear_inbox(SiteHome(), days)


def on_doctype_update() -> None:
	for fields in INDEXES.get("Webhook Log", ()):
		frappe.db.add_index("Webhook Log", list(fields), index_name(fields))
	for fields in FORMER_INDEXES.get("Webhook Log", ()):
		_drop_index(index_name(fields))


def _drop_index(name: str) -> None:
	"""Drop an index of the table, if it is there: migrate adds what is new and leaves what was."""
	if not frappe.db.has_index("tabWebhook Log", name):
		return
	where = " ON `tabWebhook Log`" if frappe.db.db_type == "mariadb" else ""
	frappe.db.sql_ddl(f"DROP INDEX `{name}`{where}")
