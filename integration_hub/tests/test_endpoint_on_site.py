"""Answers of the site's endpoint, over HTTP, to requests that Frappe reads first."""

import gzip
import json
import time

import frappe
import requests
from frappe.installer import update_site_config

from integration_hub import api
from integration_hub.sandbox import sender
from integration_hub.tests.support import HubTestCase, gunicorn_endpoint, site_endpoint
from integration_hub.webhooks import rejections
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive

JSON = "application/json"
MALFORMED = (
	(b"{", "body_not_json"),
	(b"", "body_not_json"),
	(b"{'id': 1}", "body_not_json"),
	(b'{"id": NaN}', "body_not_json"),
	(b'{"id": "\x00"}', "body_has_nul"),
	(b"\x00", "body_has_nul"),
	(b"\xef\xbb\xbf\xef\xbb\xbf{}", "body_not_json"),
	(b"\xff\xfe", "body_not_utf8"),
	(b"[" * 200_000, "body_too_deep"),
	(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "body_too_deep"),
	(b"1", "body_not_an_object"),
	(b'"text"', "body_not_an_object"),
	(b"null", "body_not_an_object"),
	(b"true", "body_not_an_object"),
	(b"1e999", "body_not_an_object"),
)


class TestEndpoints(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		rejections._causes.clear()
		self.session = requests.Session()
		self.addCleanup(self.session.close)
		self.session.headers["X-Frappe-Site-Name"] = frappe.local.site

	def ask(self, url: str, body: bytes, method: str = "POST", **headers: str) -> requests.Response:
		signed = {sender.HEADER: sender.sign(body), "Content-Type": JSON, **headers}
		return self.session.request(method, url, data=body, headers=signed, timeout=60)

	def assertVerdict(self, answer: requests.Response, status: int, reason: str) -> None:
		self.assertEqual((answer.status_code, answer.json()), (status, {"status": reason}))
		self.assertTrue(answer.headers["Content-Type"].startswith(JSON))

	def check_malformed(self, url: str) -> None:
		for body, reason in MALFORMED:
			with self.subTest(body=body[:20]):
				self.assertVerdict(self.ask(url, body), 400, reason)
				unsigned = self.ask(url, body, **{sender.HEADER: "00"})
				self.assertVerdict(unsigned, 401, "signature_wrong")
				self.assertNotIn("Traceback", unsigned.text)

	def test_malformed_bodies_have_the_endpoints_verdict(self):
		with site_endpoint() as url:
			self.check_malformed(url)

	def test_under_gunicorn_as_well(self):
		with gunicorn_endpoint() as url:
			self.check_malformed(url)
			self.check_good(url)
			self.check_methods(url)

	def test_what_frappe_cannot_read_and_we_can_is_an_event(self):
		with site_endpoint() as url:
			self.check_good(url)

	def check_good(self, url: str) -> None:
		frappe.db.delete("Webhook Log")
		frappe.db.commit()
		text = json.dumps({"id": "bom", "event": "x"}).encode()
		self.assertVerdict(self.ask(url, b"\xef\xbb\xbf" + text), 202, "unrouted")
		self.assertVerdict(self.ask(url, text), 200, "duplicate")
		packed = gzip.compress(json.dumps({"id": "packed", "event": "x"}).encode())
		self.assertVerdict(self.ask(url, packed, **{"Content-Encoding": "gzip"}), 202, "unrouted")
		latin = json.dumps({"id": "latin", "event": "x", "n": "ü"}, ensure_ascii=False).encode("latin-1")
		kind = {"Content-Type": f"{JSON}; charset=iso-8859-1"}
		self.assertVerdict(self.ask(url, latin, **kind), 202, "unrouted")
		lists = json.dumps([{"id": 1}]).encode()
		self.assertVerdict(self.ask(url, lists), 202, "unrouted")
		frappe.db.commit()
		self.assertEqual(frappe.db.count("Webhook Log"), 4)
		self.assertIn("ü", frappe.db.get_value("Webhook Log", {"event_id": "latin"}, "payload"))

	def test_methods(self):
		with site_endpoint() as url:
			self.check_methods(url)

	def check_methods(self, url: str) -> None:
		for method in ("HEAD", "OPTIONS"):
			answer = self.ask(url, b"", method)
			self.assertEqual((answer.status_code, answer.headers["Allow"]), (200, "POST, HEAD, OPTIONS"))
		for method in ("GET", "PUT", "DELETE", "PATCH", "PROPFIND"):
			answer = self.ask(url, b"{", method)
			self.assertVerdict(answer, 405, "method_not_allowed")
			self.assertEqual(answer.headers["Allow"], "POST, HEAD, OPTIONS")
		self.assertEqual(self.ask(url.replace("/crm", "/nobody"), b"{").status_code, 404)

	def test_basic_says_how_to_prove_who_one_is(self):
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"webhook_scheme": "Basic", "webhook_secret": "user:password"})
		doc.save()
		frappe.db.commit()
		with site_endpoint() as url:
			for body in (b"{}", b"{"):
				answer = self.ask(url, body, Authorization="Basic eHg6eQ==")
				self.assertVerdict(answer, 401, "signature_wrong")
				self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Basic "))
				answer = self.session.post(url, b"{}", auth=("user", "password"), timeout=60)
				self.assertIn(answer.status_code, (200, 202))

	def test_bodies_as_large_as_the_settings_say(self):
		body = json.dumps({"id": "large", "event": "x", "text": "x" * 6_000_000}).encode()
		with site_endpoint() as url:
			self.assertVerdict(self.ask(url, body), 413, "body_too_large")
			doc = frappe.get_doc("Integration Settings", "crm")
			doc.max_body_mb = 7
			doc.save()
			frappe.db.commit()
			time.sleep(1.2)  # an endpoint looks at settings once a second
			self.assertVerdict(self.ask(url, body), 202, "unrouted")
			# The documented exception: beyond what Frappe takes, Frappe answers.
			self.assertEqual(self.ask(url, b"x" * (25 * 1024 * 1024 + 1)).status_code, 413)

	def test_other_requests_are_left_to_frappe(self):
		with site_endpoint() as url:
			other = url.replace("integration_hub.api.webhook/crm", "frappe.ping")
			self.assertIn(self.ask(other, b"{").status_code, (417, 500))
			self.assertEqual(self.session.get(other, timeout=60).json(), {"message": "pong"})
			self.assertNotIn('{"status":', self.ask(url.replace("/api/", "/page/"), b"{}").text)

	def test_a_site_in_maintenance_says_so(self):
		self.addCleanup(update_site_config, "maintenance_mode", 0)
		with site_endpoint() as url:
			update_site_config("maintenance_mode", 1)
			for body in (b"{", b"{}"):
				self.assertEqual(self.ask(url, body).status_code, 503)


class TestSecretOfTheSender(HubTestCase):
	"""A secret that a handshake brings stays, whatever is saved afterwards."""

	def test_it_is_taken_when_expected_and_outlives_a_save(self):
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"webhook_scheme": "Asana", "webhook_secret": ""}).save()
		opened_before = frappe.get_doc("Integration Settings", "crm")
		frappe.db.commit()
		secret = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
		request = Request("crm", "POST", {"x-hook-secret": secret}, b"", "https://hub.example.com/")
		self.assertEqual(receive(self.runtime, request).reason, "secret_not_expected")
		api.accept_new_secret("crm")
		self.assertEqual(receive(self.runtime, request).status, 200)
		frappe.db.commit()
		with self.assertRaises(frappe.TimestampMismatchError):
			opened_before.save()
		frappe.get_doc("Integration Settings", "crm").save()
		self.assertEqual(self.runtime.secrets("crm").get("webhook_secret"), secret)
		with self.assertRaises(frappe.ValidationError):
			api.accept_new_secret("crm")
