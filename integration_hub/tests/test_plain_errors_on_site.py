"""Frappe's messages are HTML; what is kept of them, wherever they were thrown, is plain text."""

from contextlib import ExitStack
from unittest.mock import patch

import frappe

from integration_hub.api import dry_run, preview_replay
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores import inbox
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, errors
from integration_hub.webhooks.drain import drain

MESSAGE = (
	"<strong>Note</strong>: <a href='/app/item/x>y'>x &amp; y</a> needs <b>a &lt; b</b>,"
	"<ul><li>One</li><li>Two</li></ul><script>alert(1)</script>"
)
TEXT = "Note: x & y needs a < b, - One - Two"


def refuse(payload=None, event=None) -> None:
	frappe.throw(MESSAGE, title="<i>Title</i>")


def refuse_oddly(payload=None, event=None) -> None:
	frappe.throw(MESSAGE, TypeError)


def tell(payload=None, event=None) -> None:
	raise ValueError("'<b>x</b>' is no number")  # of an app: no HTML, but what came


def refuse_document(doc, method=None) -> None:
	frappe.throw(MESSAGE)


class TestPlainErrors(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		stack = ExitStack()
		self.addCleanup(stack.close)
		names = {name: f"{__name__}.{name}" for name in ("refuse", "refuse_oddly", "tell")}
		stack.enter_context(patch.object(FrappeRuntime, "handlers", lambda _: names))

	def handled_by(self, handler: str) -> tuple[str, str, str]:
		"""Have an event fail; return what stands in its row, in its failure's row and in the traceback."""
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.routes = []
		doc.append("routes", {"event_pattern": "*", "action": "Call Function", "handler": handler})
		doc.save()
		frappe.db.commit()
		inbox.store(self.runtime, [inbox.Event("crm", handler, "x", "{}", handler, "HTTP")])
		drain(self.runtime, "crm")
		log = frappe.get_last_doc("Webhook Log", {"event_id": handler})
		failure = frappe.get_doc("Integration Error Log", log.error_log)
		return log.error, failure.message, failure.traceback

	def test_what_a_handler_throws_is_kept_as_text(self):
		for handler in ("refuse", "refuse_oddly"):
			with self.subTest(handler=handler):
				error, message, trace = self.handled_by(handler)
				self.assertEqual((error, message), (TEXT, TEXT))
				self.assertIn(TEXT, trace)
				self.assertNotIn("<strong>Note", trace.partition("Error:")[2])

	def test_what_an_app_raises_itself_stays_as_it_is(self):
		error, message, _ = self.handled_by("tell")
		self.assertEqual((error, message), ("'<b>x</b>' is no number",) * 2)

	def test_a_dry_run_replay_shows_text(self):
		name = "refuse_document"
		with self.documents_refused():
			doc = frappe.get_doc("Integration Settings", "crm")
			doc.routes = []
			route = {"event_pattern": "*", "action": "Upsert Record", "stream": "customers-full"}
			doc.append("routes", {**route, "record_path": "data"})
			doc.save()
			frappe.db.commit()
			record = self.crm.customers.alive()[0]
			body = frappe.as_json({"data": record})
			inbox.store(self.runtime, [inbox.Event("crm", name, "x", body, name, "HTTP")])
			log = frappe.get_last_doc("Webhook Log", {"event_id": name}).name
			[effect] = preview_replay([log])
		self.assertEqual(effect["action"], "Fail")
		self.assertIn(TEXT, effect["does"])

	def documents_refused(self):
		hooks = frappe.get_doc_hooks()
		here = {"before_insert": [f"{__name__}.refuse_document"]}
		return patch.object(frappe, "get_doc_hooks", lambda: {**hooks, "Sandbox Customer": here})

	def test_what_a_document_throws_is_kept_as_text(self):
		with self.documents_refused():
			self.assertIn("runs only when", " ".join(dry_run("customers-full")["notes"]))
			run = run_stream(self.runtime, "customers-full")
		frappe.db.commit()
		kept = frappe.get_all("External Record", {"status": "Failed"}, pluck="error")
		self.assertEqual(len(kept), 120)
		for text in (run["error"], errors()[0].message, kept[0]):
			self.assertIn(TEXT, text)
			self.assertNotIn("<strong>", text)
