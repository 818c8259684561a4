"""Streams of many lists, and details, on a site's own database."""

import frappe

from integration_hub.stores import bindings
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase

STREAM = "customers-full"


class TestManyLists(HubTestCase):
	def test_records_know_their_list_and_what_it_no_longer_holds(self):
		self._set(slice_values="a", params="x={slice.value}", stable_pages=1)
		row = run_stream(self.runtime, STREAM)
		self.assertEqual((row["status"], row["created"]), ("Completed", 120), row["error"])
		[part] = self._parts()
		run_stream(self.runtime, STREAM)
		self.assertEqual(self._parts(), [part])
		number = frappe.db.get_value("Sync Settings", STREAM, "run_number") + 1
		self.assertEqual(bindings.count_live(self.runtime.db, STREAM, number, absent=True), 0)
		with self.runtime.db.transaction():
			bindings.mark_absent(self.runtime.db, STREAM, [part], number)
		self.assertEqual(bindings.count_live(self.runtime.db, STREAM, number, absent=True), 120)
		self._set(slice_values="a\nb")
		row = run_stream(self.runtime, STREAM)
		self.assertEqual((row["status"], row["deleted"]), ("Completed", 0), row["error"])
		self.assertEqual(self._parts(), [bindings.SEVERAL])

	def test_details_are_fetched_of_what_changed(self):
		self._set(record_endpoint="/v1/customers/{id}", fetch_details=1, lanes=4)
		row = run_stream(self.runtime, STREAM)
		self.assertEqual((row["status"], row["created"]), ("Completed", 120), row["error"])
		self.crm.change(create=0, update=10, delete=0)
		row = run_stream(self.runtime, STREAM)
		self.assertEqual(row["status"], "Completed", row["error"])
		self.assertSame("full")

	def _set(self, **values: object) -> None:
		frappe.db.set_value("Sync Settings", STREAM, values)

	def _parts(self) -> list[str]:
		return sorted(set(frappe.get_all("External Record", {"stream": STREAM}, pluck="part")))
