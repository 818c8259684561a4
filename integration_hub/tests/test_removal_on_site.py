"""Deleting an integration with all that belongs to it: at once, or by a worker where it is much."""

from unittest.mock import patch

import frappe
from frappe.utils.background_jobs import get_job, get_queue

from integration_hub import api, jobs
from integration_hub.integration_hub import removal
from integration_hub.runtime.frappe.autonomous import autonomous_transaction
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import LOGS, HubTestCase, work

JOB = "integration_hub:delete:crm"


class TestRemoval(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		run_stream(self.runtime, "customers-full", "Test")
		self.crm.faults.set(rates={"garbage": 1.0})
		run_stream(self.runtime, "customers-cursor", "Test")  # leaves a failure

	def assertGone(self) -> None:
		frappe.db.commit()
		for doctype in ("Integration Settings", "Sync Settings", "Webhook Route", *LOGS):
			self.assertEqual(frappe.db.count(doctype), 0, doctype)
		self.assertEqual(frappe.db.count("Sandbox Customer"), 120, "documents stay")

	def test_a_small_one_goes_at_once(self):
		plan = api.removal_plan("crm")
		self.assertEqual((plan["large"], plan["records"], plan["runs"]), (False, 120, 2))
		self.assertEqual(api.delete_integration("crm"), [])
		self.assertGone()

	def test_a_large_one_is_deleted_by_a_worker_which_says_so(self):
		with patch.object(removal, "LARGE", 10):
			self.assertTrue(api.removal_plan("crm")["large"])
			api.delete_integration("crm")
			api.delete_integration("crm")
		self.assertEqual(
			get_queue("long").job_ids.count(get_job(JOB).id), 1, "once, however often it is asked for"
		)
		self.assertTrue(frappe.db.exists("Integration Settings", "crm"), "a person waits for none of it")
		work()
		self.assertGone()

	def test_who_asked_is_told_that_it_is_done(self):
		with patch("frappe.publish_realtime") as told:
			jobs.delete_integration("crm", "Person Administrator")
		self.assertGone()
		self.assertIn("crm is deleted", self.said(told))

	def test_who_asked_is_told_why_it_is_not_done(self):
		"""A stream has begun since it was asked for: nothing goes, and nobody waits for a word that never comes."""
		said = []

		def delete() -> str:
			with patch("frappe.publish_realtime") as told:
				jobs.delete_integration("crm", "Person Administrator")
			return self.said(told)

		self.crm.faults.set()
		self.runtime.watcher = lambda run: said or said.append(autonomous_transaction(delete))
		run_stream(self.runtime, "customers-full", "Test")
		self.assertIn("crm is not deleted", said[0])
		self.assertIn("customers-full is running", said[0])
		self.assertEqual(frappe.db.count("External Record"), 120)
		self.assertTrue(frappe.db.get_value("Integration Settings", "crm", "enabled"))

	def test_one_that_broke_off_is_gone_on_with(self):
		"""Killed between two streams: what is left is deleted by asking again."""
		with (
			patch.object(removal, "_clear", side_effect=KeyboardInterrupt),
			self.assertRaises(KeyboardInterrupt),
		):
			removal.remove("crm")
		frappe.db.rollback()
		self.assertEqual(frappe.db.count("Sync Settings"), 0)
		self.assertFalse(frappe.db.get_value("Integration Settings", "crm", "enabled"))
		api.delete_integration("crm")
		self.assertGone()

	def said(self, told) -> str:
		return " ".join(call.args[1]["message"] for call in told.call_args_list if call.args[0] == "msgprint")
