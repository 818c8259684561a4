"""A deletion whose type is not signed, on a site: the source is asked, or a person is."""

import json

import frappe

from integration_hub.integration_hub.operator_actions import handle_conflict
from integration_hub.sandbox import sender
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive


class TestUnsigned(HubTestCase):
	def setUp(self):
		super().setUp()
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"event_type_header": "X-Event", "event_type_path": "", "same_id_other_body": "New"})
		doc.save()
		self.answers_at("/v1/customers/{id}")
		run_stream(self.runtime, "customers-full")

	def answers_at(self, endpoint: str) -> None:
		stream = frappe.get_doc("Sync Settings", "customers-full")
		stream.record_endpoint = endpoint
		stream.save()
		frappe.db.commit()

	def delete(self, record: dict) -> None:
		"""Send a record's deletion, of a type that anybody could have put on it, and have it handled."""
		body = json.dumps({"id": frappe.generate_hash(), "data": record}).encode()
		headers = {sender.HEADER.lower(): sender.sign(body), "x-event": "customer.deleted"}
		self.assertEqual(receive(self.runtime, Request("crm", "POST", headers, body)).status, 200)
		drain(self.runtime, "crm")
		frappe.db.commit()

	def last(self):
		return frappe.get_last_doc("Webhook Log")

	def is_here(self, record: dict) -> bool:
		return bool(frappe.db.exists("Sandbox Customer", {"customer_id": record["id"]}))

	def test_the_source_is_asked(self):
		here, gone = self.crm.customers.alive()[:2]
		del self.crm.customers._rows[gone["id"]]
		for record in (here, gone):
			self.delete(record)
			self.assertEqual((self.last().status, self.last().unsigned), ("Completed", "type"))
		self.assertTrue(self.is_here(here))
		self.assertFalse(self.is_here(gone))

	def test_a_person_is_asked_where_the_source_cannot_be(self):
		self.answers_at("")
		record = self.crm.customers.alive()[0]
		self.delete(record)
		self.assertEqual(self.last().status, "Conflict")
		self.assertIn("not signed", self.last().error)
		self.assertTrue(self.is_here(record))
		self.assertEqual(handle_conflict(self.last().name), 1)
		drain(self.runtime, "crm")
		self.assertEqual(self.last().status, "Completed")
		self.assertFalse(self.is_here(record))

	def test_an_endpoint_without_an_id_is_refused(self):
		with self.assertRaises(frappe.ValidationError):
			self.answers_at("/v1/customers")
