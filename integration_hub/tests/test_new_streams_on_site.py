"""A stream that was just saved does not run by itself: its first Sync Now switches it on."""

import frappe

from integration_hub import api
from integration_hub.sync.schedule import due_streams
from integration_hub.tests.support import HubTestCase

NEW = "customers-new"


class TestNewStreams(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		given = frappe.get_doc("Sync Settings", "customers-full").as_dict()
		kept = {
			field: given[field] for field in ("integration", "endpoint", "target_doctype", "records_path")
		}
		rows = [{"source_path": row.source_path, "field": row.field} for row in given.mapping]
		self.doc = frappe.get_doc({"doctype": "Sync Settings", "stream_name": NEW, **kept, "mapping": rows})
		self.doc.insert()
		frappe.db.commit()

	def state(self) -> tuple[int, int]:
		return frappe.db.get_value("Sync Settings", NEW, ["enabled", "wanted"])

	def test_it_is_not_due_once_it_is_saved(self):
		self.assertEqual(self.state(), (0, 0))
		self.assertNotIn(NEW, due_streams(self.runtime))
		self.assertIn("customers-full", due_streams(self.runtime))  # the example's says that it is on

	def test_its_first_sync_now_switches_it_on_and_says_so(self):
		api.sync_now(NEW)
		self.assertEqual(self.state(), (1, 1))
		self.assertIn(NEW, due_streams(self.runtime))
		said = frappe.get_all(
			"Comment", filters={"reference_name": NEW, "comment_type": "Info"}, pluck="content"
		)
		self.assertIn("Switched on by Sync Now", " ".join(said))

	def test_one_that_was_switched_off_asks_for_a_word_more(self):
		frappe.db.set_value("Sync Settings", NEW, "last_run_at", frappe.utils.now())
		with self.assertRaisesRegex(frappe.ValidationError, "disabled"):
			api.sync_now(NEW)
		self.assertEqual(self.state(), (0, 0))
		api.sync_now(NEW, switch_on=True)
		self.assertEqual(self.state(), (1, 1))

	def test_what_cannot_run_is_not_switched_on(self):
		frappe.db.set_value("Sync Settings", NEW, "records_path", "data[")
		with self.assertRaises(frappe.ValidationError):
			api.sync_now(NEW, switch_on=True)
		self.assertEqual(self.state(), (0, 0))

	def test_a_copy_is_new(self):
		self.doc.db_set("enabled", 1)
		self.assertFalse(frappe.copy_doc(self.doc, ignore_no_copy=False).enabled)
