"""Bodies that hold several events, on a site: stored in one transaction, each once, however many deliveries there are."""

import json
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import frappe
import requests

from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.sandbox import sender
from integration_hub.stores import inbox
from integration_hub.tests.support import HubTestCase, site_endpoint, work
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive


class TestBodyEvents(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		self.use(events_path="events", event_id_path="id", event_type_path="event", json_fields="events")

	def use(self, **settings) -> None:
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update(settings)
		doc.save()
		frappe.db.commit()

	def request(self, body, kind: str = "application/json") -> Request:
		raw = body if isinstance(body, bytes) else json.dumps(body).encode()
		return Request("crm", "POST", {sender.HEADER.lower(): sender.sign(raw), "content-type": kind}, raw)

	def post(self, endpoint: str, body: bytes, kind: str) -> requests.Response:
		headers = {sender.HEADER: sender.sign(body), "Content-Type": kind}
		return requests.post(endpoint, data=body, headers=headers, timeout=60)

	def rows(self) -> list:
		frappe.db.commit()
		fields = ["event_id", "event_type", "status", "deliveries", "payload", "ordering_key", "error"]
		return frappe.get_all("Webhook Log", fields=fields, order_by="name", limit_page_length=0)

	def test_32_deliveries_of_a_batch_at_once_are_each_event_once(self):
		request = self.request({"events": [{"id": f"e{n}", "event": "other"} for n in range(60)]})
		site = frappe.local.site

		def deliver(_number: int) -> int:
			with FrappeRuntime.opened(site) as runtime:
				return receive(runtime, request).status

		with ThreadPoolExecutor(32) as pool:
			answers = list(pool.map(deliver, range(32)))
		accepted = sum(status < 300 for status in answers)
		self.assertLessEqual(set(answers), {200, 202, 503})
		self.assertGreater(accepted, 0)
		rows = self.rows()
		self.assertEqual(sorted(row.event_id for row in rows), sorted(f"e{n}" for n in range(60)))
		self.assertEqual({row.deliveries for row in rows}, {accepted})

	def test_batches_that_overlap_in_any_order_make_each_event_once(self):
		site = frappe.local.site
		bodies = [
			[{"id": f"e{(start + n) % 40}", "event": "other"} for n in range(25)] for start in range(0, 32)
		]
		requests_ = [
			self.request({"events": body if number % 2 else body[::-1]}) for number, body in enumerate(bodies)
		]

		def deliver(request: Request) -> int:
			with FrappeRuntime.opened(site) as runtime:
				return receive(runtime, request).status

		with ThreadPoolExecutor(16) as pool:
			answers = list(pool.map(deliver, requests_))
		rows = self.rows()
		self.assertEqual(len({row.event_id for row in rows}), len(rows))
		self.assertEqual(set(answers) - {200, 202}, set())
		self.assertEqual(sum(row.deliveries for row in rows), 32 * 25)

	def test_nothing_of_a_body_is_stored_if_not_all_of_it_is(self):
		self.assertEqual(
			receive(self.runtime, self.request({"events": [{"id": "k", "event": "x"}]})).status, 202
		)
		body = {"events": [{"id": "a", "event": "x"}, {"id": "k", "event": "x"}, 5]}
		with patch.object(inbox, "_count_deliveries", side_effect=ValueError("the disk is full")):
			self.assertEqual(receive(self.runtime, self.request(body)).status, 503)
		self.assertEqual([row.event_id for row in self.rows()], ["k"])
		self.assertEqual(receive(self.runtime, self.request(body)).status, 202)
		self.assertEqual([row.status for row in self.rows()], ["Unrouted", "Unrouted", "Conflict"])

	def test_a_large_body_goes_in_in_several_statements_of_one_transaction(self):
		self.use(max_body_mb=20)
		body = {"account": "acc", "events": [{"id": n, "event": "x", "text": "x" * 4000} for n in range(900)]}
		self.assertEqual(receive(self.runtime, self.request(body)).status, 202)
		self.assertEqual(receive(self.runtime, self.request(body)).reason, "duplicate")
		rows = self.rows()
		self.assertEqual((len(rows), {row.deliveries for row in rows}), (900, {2}))
		self.assertEqual(json.loads(rows[0].payload)["^"], {"account": "acc"})

	def test_events_of_a_body_are_handled_each_by_its_route(self):
		records = self.crm.customers.alive()[:3]
		body = {
			"events": [
				{"id": n, "event": "customer.created", "data": record} for n, record in enumerate(records)
			]
		}
		self.assertEqual(receive(self.runtime, self.request(body)).reason, "received")
		drain(self.runtime, "crm")
		self.assertEqual(
			[row.status for row in self.rows()], ["Completed"] * 3, [row.error for row in self.rows()]
		)
		self.assertEqual(frappe.db.count("Sandbox Customer"), 3)

	def test_forms_with_files_and_xml_pass_the_sites_own_reading_of_requests(self):
		events = json.dumps([{"id": "m1", "event": "x"}, {"id": "m2", "event": "x"}])
		form = (
			f'--b\r\nContent-Disposition: form-data; name="events"\r\n\r\n{events}\r\n'
			'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n\x00\x01\r\n--b--\r\n'
		).encode()
		with site_endpoint() as endpoint:
			answer = self.post(endpoint, form, "multipart/form-data; boundary=b")
			self.assertEqual((answer.status_code, answer.json()["status"]), (202, "unrouted"))
			answer = self.post(endpoint, b"<events><id>x1</id><event>x</event></events>", "text/xml")
			self.assertEqual((answer.status_code, answer.json()["status"]), (202, "unrouted"))
		rows = self.rows()
		self.assertEqual([row.event_id for row in rows], ["m1", "m2", "x1"])
		self.assertEqual(json.loads(rows[0].payload)["^"]["file"]["size"], 2)

	def test_settings_that_cannot_be_are_refused_by_field(self):
		for field, value in (
			("events_path", "a[["),
			("event_retry_pauses", "9h"),
			("event_id_path", "{a}{b}"),
		):
			with self.assertRaises(frappe.ValidationError, msg=field):
				self.use(**{field: value})
			frappe.db.rollback()

	def test_a_condition_and_a_fetch_are_routes_of_the_form(self):
		record = self.crm.customers.alive()[0]
		frappe.db.set_value("Sync Settings", "customers-full", "record_endpoint", "/v1/customers/{id}")
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.routes = []
		doc.append("routes", {"event_pattern": "*", "condition": "draft", "action": "Ignore"})
		route = {"event_pattern": "thin", "action": "Fetch Record", "stream": "customers-full"}
		doc.append("routes", {**route, "record_id_path": "about", "delete_if_gone": 1})
		doc.save()
		frappe.db.commit()
		body = [{"id": 1, "event": "thin", "draft": True}, {"id": 2, "event": "thin", "about": record["id"]}]
		receive(self.runtime, self.request({"events": body}))
		work()
		drain(self.runtime, "crm")
		self.assertEqual([row.status for row in self.rows()], ["Completed", "Completed"])
		self.assertEqual(frappe.get_all("Sandbox Customer", pluck="customer_id"), [record["id"]])
