"""The three modes on a real site, by Documents and by Bulk, run by hand, by worker and by schedule."""

import frappe
from frappe.model.dynamic_links import get_dynamic_link_map

from integration_hub import jobs
from integration_hub.sandbox.example import TABLES
from integration_hub.sync.run import approve_deletions, run_stream
from integration_hub.tests.support import STREAMS, HubTestCase, errors, work

KINDS = tuple(TABLES)


class TestSync(HubTestCase):
	def test_each_mode_ends_equal_to_the_source(self):
		for kind in KINDS:
			row = run_stream(self.runtime, f"customers-{kind}")
			self.assertEqual((row["status"], row["created"]), ("Completed", 120), row["error"])
			self.assertSame(kind)
		self.crm.change(create=5, update=30, delete=7)
		for kind in KINDS:
			row = run_stream(self.runtime, f"customers-{kind}")
			self.assertEqual(row["status"], "Completed", row["error"])
			self.assertGreaterEqual(row["deleted"], 5)  # some may have come and gone unseen
			self.assertSame(kind)
		self.assertEqual(errors(), [])

	def test_faults_on_the_way_are_overcome(self):
		self.crm.faults.set(following=["500", "reset", "truncate"])
		self.assertEqual(run_stream(self.runtime, "customers-full")["status"], "Completed")
		self.assertSame("full")

	def test_a_bad_record_is_kept_and_the_page_goes_on(self):
		self.crm.customers.set("CUST-000003", credit_limit="a lot")
		row = run_stream(self.runtime, "customers-incremental")
		self.assertEqual((row["status"], row["failed"], row["created"]), ("Partial", 1, 119))
		self.assertEqual([error.external_id for error in errors()], ["CUST-000003"])
		binding = frappe.get_doc(
			"External Record", {"external_id": "CUST-000003", "stream": "customers-incremental"}
		)
		self.assertEqual(binding.status, "Failed")
		self.crm.customers.set("CUST-000003", credit_limit=1.5)
		run_stream(self.runtime, "customers-incremental")
		self.assertSame("incremental")

	def test_a_renamed_document_stays_bound_though_frappe_has_looked_for_links_before(self):
		frappe.cache.delete_keys("dynamic_link_map")
		get_dynamic_link_map()  # from now on Frappe believes that no record is of a customer
		run_stream(self.runtime, "customers-full")
		[old] = frappe.get_all("Sandbox Customer", {"customer_id": "CUST-000003"}, pluck="name")
		frappe.rename_doc("Sandbox Customer", old, "renamed", force=True)
		self.crm.customers.set("CUST-000003", city="Kyōto")
		row = run_stream(self.runtime, "customers-full")
		self.assertEqual((row["created"], row["updated"]), (0, 1), row["error"])
		self.assertEqual(frappe.db.get_value("Sandbox Customer", "renamed", "city"), "Kyōto")
		self.assertSame("full")

	def test_a_large_deletion_waits_for_approval(self):
		for name, value in (("max_delete_count", 10), ("max_delete_percent", 5)):
			frappe.db.set_value("Sync Settings", "customers-full", name, value)
		run_stream(self.runtime, "customers-full")
		self.crm.customers.delete(40)
		held = run_stream(self.runtime, "customers-full")
		self.assertEqual((held["status"], held["to_delete"], held["deleted"]), ("Needs Approval", 40, 0))
		done = approve_deletions(self.runtime, held["name"])
		self.assertEqual(done["deleted"], 40)
		self.assertSame("full")

	def test_due_streams_run_as_background_jobs(self):
		work()  # what other tests left in the queue
		self.setUp()
		jobs.sync_due_streams()
		work()
		for kind in KINDS:
			self.assertSame(kind)
		runs = frappe.get_all("Sync Log", fields=["stream", "status", "triggered_by"])
		self.assertEqual({run.stream for run in runs}, set(STREAMS))
		self.assertEqual({run.status for run in runs}, {"Completed"})
		self.assertTrue(all(run.triggered_by.startswith("Schedule") for run in runs))
		jobs.sync_due_streams()
		work()
		self.assertEqual(frappe.db.count("Sync Log"), 3, "nothing is due right after")

	def test_an_unreachable_system_ends_in_the_error_log(self):
		self.crm.stop()
		frappe.db.set_value("Integration Settings", "crm", "max_attempts", 1)
		row = run_stream(self.runtime, "customers-full")
		self.assertEqual(row["status"], "Failed")
		[error] = errors()
		self.assertIn("Connection failed", error.message)
		self.assertEqual(
			(error.integration, error.stream, error.sync_log), ("crm", "customers-full", row["name"])
		)
		self.assertIn("Connection failed", frappe.db.get_value("Integration Settings", "crm", "last_error"))

	def test_wrong_credentials_end_in_the_error_log_without_the_secret(self):
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.client_secret = "wrong-secret"
		doc.save()
		self.assertEqual(run_stream(self.runtime, "customers-full")["status"], "Failed")
		[error] = errors()
		self.assertIn("Authentication failed", error.message)
		self.assertNotIn("wrong-secret", frappe.as_json(error))

	def test_a_document_writes_as_the_configured_user(self):
		if not frappe.db.exists("User", "writer@example.com"):
			frappe.get_doc(
				{
					"doctype": "User",
					"email": "writer@example.com",
					"first_name": "Writer",
					"send_welcome_email": 0,
				}
			).insert()
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", "writer@example.com")
		row = run_stream(self.runtime, "customers-cursor")
		self.assertEqual((row["created"], row["failed"]), (0, 120))
		self.assertEqual(frappe.session.user, "Administrator")

	def test_a_deadlock_within_a_deletion_begins_it_again(self):
		run_stream(self.runtime, "customers-full")
		self.crm.customers.delete(12)
		target = type(self.runtime.target("Sandbox Customer", self.write_mode))
		delete, calls = target.delete, []

		def deadlocked(self, names):
			calls.append(names)
			if len(calls) == 1:
				delete(self, names[:7])
				frappe.db.rollback()  # what the database does, then says
				raise frappe.QueryDeadlockError
			return delete(self, names)

		target.delete = deadlocked
		try:
			row = run_stream(self.runtime, "customers-full")
		finally:
			target.delete = delete
		self.assertEqual((row["status"], row["deleted"]), ("Completed", 12), row["error"])
		self.assertSame("full")
		self.assertEqual(frappe.db.count("External Record", {"status": "Deleted"}), 12)

	def test_tokens_are_encrypted_and_leave_the_document_alone(self):
		before = frappe.db.get_value("Integration Settings", "crm", "modified")
		run_stream(self.runtime, "customers-cursor")
		stored = frappe.db.sql("SELECT `password` FROM `__Auth` WHERE `fieldname` = 'oauth_token'")[0][0]
		self.assertNotIn("access_token", stored)
		self.assertIn("access_token", self.runtime.secrets("crm").get("oauth_token"))
		self.assertEqual(frappe.db.get_value("Integration Settings", "crm", "modified"), before)


class TestSyncInBulk(TestSync):
	write_mode = "Bulk"
