"""A list and events that make the same new records at the same moment: each is made once, and nobody fails."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import frappe

from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.sandbox import sender
from integration_hub.stores import bindings
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, errors
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive


class TestRaces(HubTestCase):
	def test_a_list_and_events_make_the_same_new_records(self):
		for write_mode in ("Documents", "Bulk"):
			with self.subTest(write_mode):
				self.clear_state(write_mode)
				self.race()

	def clear_state(self, write_mode: str) -> None:
		for doctype in (
			"Sync Log",
			"External Record",
			"Webhook Log",
			"Integration Error Log",
			"Sandbox Customer",
		):
			frappe.db.delete(doctype)
		values = {"write_mode": write_mode, "page_size": 60, "checkpoint": None}
		frappe.db.set_value("Sync Settings", "customers-full", values)
		frappe.db.commit()

	def race(self) -> None:
		site, begun = frappe.local.site, threading.Barrier(3)
		records = self.crm.customers.alive()
		for record in records:
			body = sender.make("customer.created", record).body
			headers = {sender.HEADER.lower(): sender.sign(body)}
			self.assertEqual(receive(self.runtime, Request("crm", "POST", headers, body)).status, 200)

		def listed() -> dict:
			with FrappeRuntime.opened(site) as runtime:
				begun.wait()
				return run_stream(runtime, "customers-full")

		def handled(number: int) -> int:
			with FrappeRuntime.opened(site) as runtime:
				begun.wait()
				done, until = 0, time.monotonic() + 120
				while time.monotonic() < until:
					done += (now := drain(runtime, "crm").completed)
					frappe.db.commit()
					if not now and not frappe.db.count("Webhook Log", {"status": ["!=", "Completed"]}):
						break
					time.sleep(0.01)
				return done

		with ThreadPoolExecutor(3) as pool:
			run = pool.submit(listed)
			drains = [pool.submit(handled, number) for number in range(2)]
			self.assertEqual(run.result()["status"], "Completed", [row.traceback for row in errors()])
			self.assertEqual(sum(each.result() for each in drains), len(records))
		self.assertSame("full")
		self.assertEqual(errors(), [])
		bound = frappe.get_all("External Record", fields=["status", "target_name"], limit_page_length=0)
		self.assertEqual({row.status for row in bound}, {"Bound"})
		self.assertEqual(len({row.target_name for row in bound}), len(records))
		attempts = frappe.get_all("Webhook Log", fields=["status", "attempts"], limit_page_length=0)
		self.assertEqual({(row.status, row.attempts) for row in attempts}, {("Completed", 1)})


class TestWhatIsGone(HubTestCase):
	def test_an_event_that_comes_while_its_document_is_to_go_keeps_it(self):
		"""The run has read what is gone already; the event commits before anything is removed."""
		if frappe.db.db_type == "sqlite":
			self.skipTest("one writes at a time")
		for write_mode, city in itertools.product(("Documents", "Bulk"), (None, "Elsewhere")):
			with self.subTest(write_mode, city=city):
				frappe.db.set_value("Sync Settings", "customers-full", "write_mode", write_mode)
				frappe.db.commit()
				run_stream(self.runtime, "customers-full")
				back, gone = (
					self.crm.customers._rows.pop(row["id"]) for row in self.crm.customers.alive()[:2]
				)
				row = self.run_while_told({**back, "city": city or back["city"]})
				self.assertEqual((row["deleted"], row["status"]), (1, "Completed"), row["error"])
				left = frappe.get_all("Sandbox Customer", pluck="customer_id", limit_page_length=0)
				self.assertIn(back["id"], left)
				self.assertNotIn(gone["id"], left)

	def run_while_told(self, record: dict) -> dict:
		"""Run, and have an event of a record handled once it was read that its document is to go."""
		site, after, told = frappe.local.site, bindings.after, []

		def handled() -> None:
			body = sender.make("customer.updated", record).body
			headers = {sender.HEADER.lower(): sender.sign(body)}
			with FrappeRuntime.opened(site) as runtime:
				receive(runtime, Request("crm", "POST", headers, body))
				told.append(drain(runtime, "crm").completed)
				frappe.db.commit()

		def read_and_wait(*args) -> list:
			found = after(*args)
			if found and not told:
				with ThreadPoolExecutor(1) as pool:
					pool.submit(handled).result()
			return found

		with patch.object(bindings, "after", read_and_wait):
			row = run_stream(self.runtime, "customers-full")
		self.assertEqual(told, [1])
		return row

	def test_a_form_that_is_saved_leaves_the_number_of_runs_alone(self):
		run_stream(self.runtime, "customers-full")
		opened = frappe.get_doc("Sync Settings", "customers-full")
		run_stream(self.runtime, "customers-full")
		opened.reload()
		opened.run_number = 0
		opened.save()
		frappe.db.commit()
		self.assertEqual(frappe.db.get_value("Sync Settings", "customers-full", "run_number"), 2)
