"""A stream under another name on a site, and what older settings become."""

from __future__ import annotations

import tempfile
from pathlib import Path

import frappe

from integration_hub.patches.v0_1 import move_filters_and_limits
from integration_hub.runtime.frappe.autonomous import autonomous_transaction
from integration_hub.runtime.frappe.import_hub_toml import load_into_site
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.sandbox.example import hub_toml
from integration_hub.sandbox.sender import SECRET
from integration_hub.stores.runtime import HubError
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase

FULL = "customers-full"


class TestRenames(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		run_stream(self.runtime, FULL)

	def load(self, *pairs: tuple[str, str]) -> list[str]:
		text = hub_toml(self.crm.url).replace("backoff_min = 0.2", "backoff_min = 0.01")
		for old, new in pairs:
			self.assertIn(old, text)
			text = text.replace(old, new)
		with tempfile.TemporaryDirectory() as folder:
			path = Path(folder) / "hub.toml"
			for name, secret in (("CRM_CLIENT_SECRET", CLIENT_SECRET), ("CRM_WEBHOOK_SECRET", SECRET)):
				text = text.replace(f"env:{name}", f"file:{name}")
				(Path(folder) / name).write_text(secret)
			path.write_text(text)
			return list(load_into_site(self.runtime, path, self.crm.url))

	def test_what_is_bound_goes_with_a_documents_new_name(self):
		frappe.rename_doc("Sync Settings", FULL, "people")
		frappe.db.commit()
		self.crm.customers.delete(3)
		row = run_stream(self.runtime, "people")
		self.assertEqual((row["created"], row["deleted"], row["unchanged"]), (0, 3, 117), row["error"])
		self.assertSame("full")
		self.assertEqual(frappe.get_all("Sync Log", pluck="stream", distinct=True), ["people"])

	def test_a_running_stream_is_not_renamed(self):
		refusals: list[str] = []

		def rename() -> str:
			try:
				frappe.rename_doc("Sync Settings", FULL, "people")
			except frappe.ValidationError as error:
				return str(error)
			return ""

		def look(_) -> None:
			if not refusals:
				refusals.append(autonomous_transaction(rename))

		self.runtime.watcher = look
		run_stream(self.runtime, FULL)
		self.runtime.watcher = None
		self.assertIn("is running", refusals[0])

	def test_a_stream_renamed_in_hub_toml_is_refused_with_two_ways_out(self):
		renamed = ("customers-full", "people")
		with self.assertRaisesRegex(HubError, "renamed_from.*forget_streams"):
			self.load(renamed)
		frappe.db.rollback()
		said = self.load(renamed, ("[stream.people]", '[stream.people]\nrenamed_from = "customers-full"'))
		self.assertIn("Renamed Sync Settings customers-full to people.", said)
		self.assertEqual(run_stream(self.runtime, "people")["unchanged"], 120)

	def test_a_filter_in_records_path_becomes_a_record_filter(self):
		values = {"records_path": "data[?active]", "max_delete_count": 100}
		frappe.db.set_value("Sync Settings", FULL, values)
		move_filters_and_limits.execute()
		found = frappe.db.get_value(
			"Sync Settings", FULL, ["records_path", "record_filter", "max_delete_count"], as_dict=True
		)
		self.assertEqual(
			dict(found), {"records_path": "data", "record_filter": "active", "max_delete_count": 5}
		)
		self.assertEqual(run_stream(self.runtime, FULL)["failed"], 0)
