"""What installing the app puts on a site."""

import frappe

from integration_hub.install import ROLES
from integration_hub.stores.schema import INDEXES, columns, doctypes
from integration_hub.tests.support import IntegrationTestCase


class TestInstall(IntegrationTestCase):
	def test_roles_have_desk_access(self):
		for role in ROLES:
			self.assertEqual(frappe.db.get_value("Role", role, "desk_access"), 1)

	def test_the_scheduler_knows_the_jobs(self):
		methods = frappe.get_all("Scheduled Job Type", pluck="method", filters={"stopped": 0})
		for name in ("sync_due_streams", "sweep_webhook_inbox", "drain_external_queues"):
			self.assertIn(f"integration_hub.jobs.{name}", methods)

	def test_the_workspace_is_there(self):
		self.assertTrue(frappe.db.exists("Workspace", "Integration Hub"))

	def test_logs_have_a_retention(self):
		kept = {row.ref_doctype: row.days for row in frappe.get_doc("Log Settings").logs_to_clear}
		self.assertEqual((kept["Webhook Log"], kept["Sync Log"], kept["Integration Error Log"]), (30, 30, 90))

	def test_both_homes_have_the_same_columns(self):
		for name, doctype in doctypes().items():
			missing = set(columns(doctype)) - set(frappe.db.get_table_columns(name))
			self.assertEqual(missing, set(), name)

	def test_composite_indexes_exist(self):
		for doctype, groups in INDEXES.items():
			for fields in groups:
				index = frappe.db.get_index_name(list(fields))
				self.assertTrue(frappe.db.has_index(f"tab{doctype}", index), f"{doctype} {fields}")
