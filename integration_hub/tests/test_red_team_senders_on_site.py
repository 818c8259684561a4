"""Attacks by a sender, or by anybody who reaches the webhook's endpoint: at what Frappe makes of a request before, and after.

Shown elsewhere: malformed bodies and methods in test_endpoint_on_site, deliveries that are sent again under other headers in
test_unsigned_on_site and tests/test_unsigned_deletions.py, sizes and slow bodies in tests/test_receiver.py, secrets as an event's id
or type in tests/test_known_secrets.py.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import frappe
import requests

from integration_hub.sandbox import sender
from integration_hub.tests.support import HubTestCase, site_endpoint
from integration_hub.webhooks import rejections

MARKUP = "<img src=x onerror=alert(1)>"
JSON = "application/json"


class TestSenders(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		rejections._causes.clear()
		endpoint = site_endpoint()
		self.url = endpoint.__enter__()
		self.addCleanup(endpoint.__exit__, None, None, None)
		self.base = self.url.partition("/api/")[0]
		user = frappe.get_doc("User", "Administrator")
		user.update({"api_key": "boss", "api_secret": "s3cret"}).save()
		self.addCleanup(frappe.db.commit)
		self.addCleanup(frappe.db.set_value, "User", "Administrator", "api_key", None)
		self.addCleanup(
			frappe.db.rollback
		)  # SQLite refuses to write from a snapshot that a request has outdated
		frappe.db.commit()

	def send(self, body: Any, url: str = "", method: str = "POST", **headers: str) -> requests.Response:
		raw = body if isinstance(body, bytes) else json.dumps(body).encode()
		given = {sender.HEADER: sender.sign(raw), "Content-Type": JSON, **headers}
		return requests.request(method, url or self.url, data=raw, headers=given, timeout=60)

	def events(self) -> list[Any]:
		frappe.db.rollback()
		return frappe.get_all("Webhook Log", fields=["*"], order_by="name")

	def test_no_way_of_calling_goes_past_the_signature(self):
		"""Whatever says that a request is another one: a method, a call, a site's own credentials, a name."""
		body = {"id": "1", "event": "customer.deleted", "data": {"id": "CUST-000001"}}
		boss = {"Authorization": "token boss:s3cret"}
		wrong = {sender.HEADER: "00"}
		for headers in (
			{},
			boss,
			{"X-HTTP-Method-Override": "PUT"},
			{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Real-IP": "127.0.0.1"},
			{"X-Original-URL": "/api/method/ping", "X-Rewrite-URL": "/api/method/ping"},
			{"Cookie": "sid=Administrator; user_id=Administrator"},
			{"X-Frappe-CSRF-Token": "x", "X-Frappe-CMD": "frappe.ping"},
			{"Content-Type": "application/x-www-form-urlencoded"},
			{"Content-Type": "multipart/form-data; boundary=x"},
			{"Content-Type": "text/xml"},
			{"Content-Type": "application/json; charset=utf-7"},
			{"Content-Type": ""},
		):
			answer = self.send(body, **wrong, **headers)
			self.assertEqual(answer.status_code, 401, f"{headers}: {answer.text[:200]}")
			self.assertNotIn("Traceback", answer.text)
		self.assertFalse(self.events())

	def test_a_method_is_what_the_request_line_says(self):
		for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
			answer = self.send({"id": "1", "event": "x"}, method="GET", **{name: "POST"})
			self.assertEqual(answer.status_code, 405, name)
		for query in ("_method=POST", "method=POST"):
			self.assertEqual(self.send({"id": "1"}, f"{self.url}?{query}", "PUT").status_code, 405)
		self.assertFalse(self.events())

	def test_a_body_or_query_calls_no_other_function(self):
		"""Frappe would call what `cmd` names."""
		boss = {"Authorization": "token boss:s3cret"}
		call = {
			"cmd": "frappe.client.set_value",
			"doctype": "User",
			"name": "Guest",
			"fieldname": "bio",
			"value": "x",
		}
		for number, url in enumerate(
			(self.url, f"{self.url}?cmd=frappe.client.set_value&doctype=User&name=Guest")
		):
			answer = self.send({"id": f"cmd-{number}", "event": "x", **call}, url, **boss)
			self.assertEqual(answer.json(), {"status": "unrouted"}, answer.text[:200])
		for url in (
			f"{self.base}/?cmd=integration_hub.api.webhook",
			f"{self.base}/api/method/integration_hub.api.webhook",
		):
			self.send({"id": "2", "event": "x", "integration": "crm"}, url, **boss)
		self.assertFalse(frappe.db.get_value("User", "Guest", "bio"))
		self.assertEqual(len(self.events()), 2)

	def test_a_delivery_under_another_spelling_of_the_endpoint_is_no_other_event(self):
		"""What was recorded once is sent again to the same integration by each name that a database takes for its own."""
		record = {"id": "once", "event": "x"}
		self.assertEqual(self.send(record).status_code, 202)
		for name in (
			"CRM",
			"Crm",
			"crm ",
			"çrm",
			"crm\u200b",
			"crm\x00",
			"crm/",
			"/crm",
			"crm/../crm",
			"crm%2f",
			"crm?x=1",
		):
			url = self.url[: -len("crm")] + quote(name, safe="/?=%")
			self.send(record, url)
			v2 = url.replace("/api/method/", "/api/v2/method/")
			self.send(record, v2)
		self.assertEqual([row.event_id for row in self.events()], ["once"])

	def test_markup_in_whatever_is_kept_of_an_event_is_printed_nowhere(self):
		"""Lists, forms and reports show it as text (tests_desk/test_untrusted_text.py); a print leaves it out."""
		self.send({"id": MARKUP, "event": MARKUP, "data": MARKUP}, **{"User-Agent": MARKUP})
		[row] = self.events()
		self.assertIn("<img", row.event_type + row.event_id + row.payload)
		boss = {"Authorization": "token boss:s3cret"}
		for path in ("printview", "api/method/frappe.www.printview.get_html_and_style"):
			for key in ("doctype", "doc"):
				url = f"{self.base}/{path}?{key}=Webhook%20Log&name={row.name}"
				self.assertNotIn("<img src=x", requests.get(url, headers=boss, timeout=60).text)

	def test_an_answer_to_a_stranger_tells_nothing(self):
		"""Neither what is in an event, nor a traceback, nor what a setting is; and it is no page."""
		for path in ("crm", "nobody", "crm'--", "<script>", "%00", "." * 200):
			answer = self.send(
				b"\xff{" + MARKUP.encode(), self.url[: -len("crm")] + quote(path), **{sender.HEADER: "00"}
			)
			self.assertIn(answer.status_code, (400, 401, 404), path)
			self.assertEqual(list(answer.json()), ["status"])
			self.assertTrue(answer.headers["Content-Type"].startswith(JSON))
			self.assertNotIn("<", answer.text)
