"""Documents that are submitted, cancelled and amended as their records say, in the transaction that writes them."""

import json
from contextlib import contextmanager
from unittest.mock import patch

import frappe
from frappe.model.mapper import get_mapped_doc
from frappe.permissions import reset_perms, update_permission_property

from integration_hub.runtime.frappe.documents import DocumentTarget
from integration_hub.runtime.frappe.mappers import HOOK
from integration_hub.sandbox import sender
from integration_hub.stores.bindings import binding_name
from integration_hub.stores.runtime import CANCEL, SUBMIT, Change, HubError
from integration_hub.sync.dry_runs import dry_run
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, drop_doctypes, errors
from integration_hub.tests.test_writing_on_site import make_doctype, make_stream
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive

ORDER, LINE, INVOICE = "Hub Test Shop Order", "Hub Test Shop Line", "Hub Test Shop Invoice"
STREAM, INVOICES = "shop orders", "shop invoices"
WRITER = "hub-shop-writer@example.com"
MAPPING = [
	{"source_path": "name", "field": "title"},
	{"source_path": "city", "field": "city"},
	{"source_path": "phone", "field": "phone"},
	{"source_path": "[@]", "field": "lines", "conversion": "Rows"},
	{"source_path": "name", "field": "lines.item"},
]


def field(name: str, kind: str = "Data", **values) -> dict:
	return {"fieldname": name, "label": frappe.unscrub(name), "fieldtype": kind, **values}


def refuse_submit(doc, method=None) -> None:
	if doc.city == "Nowhere":
		frappe.throw("There is no such city")


@frappe.whitelist()
def make_invoice(source_name, target_doc=None):
	table = {"doctype": INVOICE, "validation": {"docstatus": ["=", 1]}, "field_map": {"name": "order"}}
	return get_mapped_doc(ORDER, source_name, {ORDER: table}, target_doc)


@frappe.whitelist()
def make_and_save(source_name):
	return frappe.get_doc({"doctype": INVOICE, "order": source_name}).insert()


@frappe.whitelist()
def make_for_company(source_name, company):
	return None


def make_unlisted(source_name):
	return None


@contextmanager
def events(**handlers: str):
	hooks = frappe.get_doc_hooks()
	here = {event: [f"{__name__}.{name}"] for event, name in handlers.items()}
	with patch.object(frappe, "get_doc_hooks", lambda: {**hooks, ORDER: here}):
		yield


class SubmittingTestCase(HubTestCase):
	@classmethod
	def setUpClass(cls) -> None:
		super().setUpClass()
		make_doctype(LINE, [field("item")], istable=1)
		fields = [
			field("title", reqd=1),
			field("city"),
			field("phone", allow_on_submit=1),
			field("margin", permlevel=1),
			field("lines", "Table", options=LINE),
			field("amended_from", "Link", options=ORDER, no_copy=1, read_only=1),
		]
		make_doctype(ORDER, fields, is_submittable=1)
		make_doctype(
			INVOICE,
			[field("order", "Link", options=ORDER), field("paid_on"), field("title")],
			is_submittable=1,
		)

	@classmethod
	def tearDownClass(cls) -> None:
		frappe.db.rollback()
		for name in (STREAM, INVOICES):
			frappe.delete_doc("Sync Settings", name, force=True, ignore_missing=True)
		frappe.db.commit()
		drop_doctypes(INVOICE, ORDER, LINE)
		super().tearDownClass()

	def setUp(self) -> None:
		super().setUp()
		for doctype in (INVOICE, ORDER, LINE, "Comment"):
			frappe.db.delete(doctype)
		frappe.db.commit()
		self.rows = [{"id": n, "name": f"Order {n}", "city": "Ulm", "phone": f"0{n}"} for n in range(3)]
		self.crm.lists["orders"] = self.rows

	def stream(self, **settings) -> None:
		if frappe.db.exists("Sync Settings", STREAM):
			frappe.delete_doc("Sync Settings", STREAM, force=True)
		values = {"target_doctype": ORDER, "after_writing": "Submit", "deletion_policy": "Keep", **settings}
		listed = {"endpoint": "/v1/orders", "pagination": "None", "more_path": ""}
		make_stream(STREAM, MAPPING, **listed, **values)

	def run_orders(self) -> dict:
		run = run_stream(self.runtime, STREAM)
		self.said = run["error"]
		frappe.db.commit()
		return run

	def record(self, number: int = 0) -> dict:
		name = binding_name(STREAM, str(number))
		return frappe.db.get_value("External Record", name, ["status", "target_name", "error"], as_dict=True)

	def doc(self, number: int = 0):
		return frappe.get_doc(ORDER, self.record(number).target_name)

	def change(self, number: int = 0, **values) -> None:
		self.rows[number].update(values)

	def states(self) -> list[int]:
		return frappe.get_all(ORDER, pluck="docstatus", order_by="creation")

	def comments(self) -> list[str]:
		filters = {"reference_doctype": ORDER, "comment_type": "Comment"}
		return frappe.get_all("Comment", filters, pluck="content")


class TestSubmitting(SubmittingTestCase):
	def test_documents_are_submitted_when_they_are_written(self):
		self.stream()
		self.assertEqual(self.run_orders()["created"], 3)
		self.assertEqual(self.states(), [1, 1, 1])
		self.assertEqual(self.run_orders()["unchanged"], 3)

	def test_a_document_whose_submit_fails_is_not_there_at_all(self):
		self.stream()
		self.change(city="Nowhere")
		with events(before_submit="refuse_submit"):
			run = self.run_orders()
		self.assertEqual((run["created"], run["failed"]), (2, 1))
		self.assertEqual(self.states(), [1, 1])
		self.assertIn("There is no such city", self.record().error)
		self.assertIn(ORDER, self.record().error)
		self.change(city="Ulm")
		self.run_orders()
		self.assertEqual(self.states(), [1, 1, 1])

	def test_a_draft_waits_for_the_condition(self):
		self.stream(submit_when="city == 'Paid'")
		self.change(city="Paid")
		self.assertEqual(self.run_orders()["created"], 3)
		self.assertEqual(sorted(self.states()), [0, 0, 1])
		self.change(1, city="Paid")
		self.assertEqual(self.run_orders()["updated"], 1, self.said)
		self.assertEqual(self.doc(1).docstatus, 1)
		self.assertEqual(sorted(self.states()), [0, 1, 1])

	def test_a_draft_that_is_as_it_should_be_is_submitted_too(self):
		self.stream(after_writing="Leave as Draft")
		self.run_orders()
		frappe.db.set_value("Sync Settings", STREAM, "after_writing", "Submit")
		frappe.db.commit()
		self.assertEqual(self.run_orders()["updated"], 3, self.said)
		self.assertEqual(self.states(), [1, 1, 1])

	def test_a_submitted_document_takes_what_it_may_still_take(self):
		self.stream()
		self.run_orders()
		self.change(phone="0731 1")
		self.assertEqual(self.run_orders()["updated"], 1, self.said)
		self.assertEqual(self.doc().phone, "0731 1")

	def test_a_change_too_late_fails_once(self):
		self.stream(submitted_documents="Fail Once")
		self.run_orders()
		self.change(city="Bonn")
		run = self.run_orders()
		self.assertEqual((run["failed"], run["unchanged"]), (1, 2))
		self.assertIn("not written: city", self.record().error)
		again = self.run_orders()
		self.assertEqual((again["failed"], again["status"]), (0, "Completed"))
		self.assertEqual(len([e for e in errors() if "not written: city" in e.message]), 1)

	def test_a_change_too_late_is_said_in_a_comment(self):
		self.stream(submitted_documents="Comment and Leave")
		self.run_orders()
		before = self.doc().city
		self.change(city="Bonn", phone="0731 2", name="Else")
		for _ in range(2):
			self.assertEqual(self.run_orders()["failed"], 0)
		doc = self.doc()
		self.assertEqual((doc.city, doc.phone), (before, "0731 2"))
		[comment] = self.comments()
		self.assertIn("city", comment)
		self.assertNotIn("phone", comment)

	def test_a_change_too_late_amends(self):
		self.stream(submitted_documents="Amend")
		self.run_orders()
		old = self.doc()
		self.change(city="Bonn")
		self.assertEqual(self.run_orders()["updated"], 1, self.said)
		new = self.doc()
		self.assertEqual((new.amended_from, new.city, new.docstatus), (old.name, "Bonn", 1))
		self.assertEqual(len(new.lines), 1)
		self.assertEqual(frappe.db.get_value(ORDER, old.name, "docstatus"), 2)
		self.assertEqual(self.run_orders()["unchanged"], 3)
		self.assertEqual(len(self.states()), 4)

	def test_an_amendment_that_fails_leaves_the_document_submitted(self):
		self.stream(submitted_documents="Amend")
		self.run_orders()
		self.change(city="Nowhere")
		with events(before_submit="refuse_submit"):
			self.assertEqual(self.run_orders()["failed"], 1)
		self.assertEqual(self.states(), [1, 1, 1])


class TestCancelling(SubmittingTestCase):
	def test_a_record_that_is_cancelled_cancels_its_document(self):
		self.stream(cancel_when="city == 'Cancelled'")
		self.run_orders()
		self.change(city="Cancelled")
		self.assertEqual(self.run_orders()["updated"], 1, self.said)
		self.assertEqual(self.doc().docstatus, 2)
		self.assertEqual(self.run_orders()["unchanged"], 3)
		self.change(city="Cancelled", phone="1")
		self.assertEqual(self.run_orders()["failed"], 0, "it is as cancelled as it can be")

	def test_one_that_is_no_longer_cancelled_is_said_once(self):
		self.stream(cancel_when="city == 'Cancelled'")
		self.run_orders()
		before = self.doc().city
		self.change(city="Cancelled")
		self.run_orders()
		self.change(city=before)
		self.assertEqual(self.run_orders()["failed"], 1)
		self.assertIn("is cancelled", self.record().error)
		self.assertEqual(self.run_orders()["failed"], 0)

	def test_a_record_that_comes_cancelled_makes_no_document_and_a_draft_a_comment(self):
		self.stream(cancel_when="city == 'Cancelled'", after_writing="Leave as Draft")
		self.change(0, city="Cancelled")
		run = self.run_orders()
		self.assertEqual((run["created"], run["unchanged"]), (2, 1))
		self.change(1, city="Cancelled")
		for _ in range(2):
			self.run_orders()
		self.assertEqual(self.doc(1).docstatus, 0)
		[comment] = self.comments()
		self.assertIn("record 1", comment)

	def test_documents_behind_are_said_once(self):
		for settings in ({"cancel_when": "city == 'Cancelled'"}, {"submitted_documents": "Amend"}):
			with self.subTest(settings):
				self.stream(**settings)
				self.run_orders()
				name = self.record().target_name
				invoice = frappe.get_doc({"doctype": INVOICE, "order": name}).insert()
				invoice.submit()
				frappe.db.commit()
				self.change(city="Cancelled")
				run = self.run_orders()
				self.assertEqual((run["failed"], run["unchanged"]), (1, 2), run["error"])
				self.assertIn(invoice.name, self.record().error)
				self.assertEqual(self.doc().docstatus, 1)
				self.assertEqual(self.run_orders()["failed"], 0)
				self.change(city="Ulm")

	def test_a_deletion_cancels_and_documents_behind_are_said_once(self):
		self.stream(deletion_policy="Cancel", max_delete_count=10)
		self.run_orders()
		names = [self.record(number).target_name for number in range(3)]
		invoice = frappe.get_doc({"doctype": INVOICE, "order": names[1]}).insert()
		invoice.submit()
		frappe.db.commit()
		del self.rows[:2]
		run = self.run_orders()
		self.assertEqual((run["deleted"], run["failed"]), (1, 1), run["error"])
		self.assertEqual(frappe.db.get_value(ORDER, names[0], "docstatus"), 2)
		self.assertEqual(frappe.db.get_value(ORDER, names[1], "docstatus"), 1)
		self.assertIn(invoice.name, self.record(1).error)
		self.assertEqual(self.run_orders()["failed"], 0)
		self.assertEqual(len([e for e in errors() if invoice.name in e.message]), 1)


class TestEvents(SubmittingTestCase):
	def setUp(self) -> None:
		super().setUp()
		self.stream()
		self.run_orders()
		doc = frappe.get_doc("Integration Settings", "crm")
		route = {"event_pattern": "*", "action": "Upsert Record", "stream": STREAM, "record_path": "order"}
		doc.routes = []
		doc.append("routes", route)
		doc.save()
		self.addCleanup(frappe.db.commit)
		self.addCleanup(frappe.db.delete, "Webhook Route")
		self.doc().cancel()
		frappe.db.commit()

	def handle(self, event: str, **values) -> dict:
		"""Return the row of an event that changes the first order, after it was handled."""
		body = json.dumps({"id": event, "event": "x", "order": {**self.rows[0], **values}}).encode()
		request = Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body)
		self.assertEqual(receive(self.runtime, request).status, 200)
		drain(self.runtime, "crm")
		frappe.db.commit()
		columns = ["status", "attempts", "reference_name"]
		return frappe.db.get_value("Webhook Log", {"event_id": event}, columns, as_dict=True)

	def reports(self) -> int:
		failures = frappe.get_all("Integration Error Log", fields=["message", "occurrences"])
		return sum(one["occurrences"] for one in failures if "is cancelled" in one["message"])

	def test_one_whose_document_is_cancelled_is_said_once_and_completed(self):
		name, city = self.record().target_name, self.doc().city
		for event in ("a", "b"):
			row = self.handle(event, city="Bonn")
			self.assertEqual((row.status, row.reference_name), ("Completed", name))
			self.assertEqual((self.reports(), self.record().status), (1, "Bound"))
		self.assertIn("not written: city", self.record().error)
		self.assertEqual((self.doc().docstatus, self.doc().city), (2, city))
		self.assertEqual((self.handle("c", city="Kiel").status, self.reports()), ("Completed", 2))

	def test_one_whose_document_is_left_cancelled_is_completed_and_not_said(self):
		frappe.db.set_value("Sync Settings", STREAM, "cancelled_documents", "Leave")
		frappe.db.commit()
		self.assertEqual((self.handle("a", city="Bonn").status, self.reports()), ("Completed", 0))
		self.assertEqual(self.doc().docstatus, 2)


class TestAuthority(SubmittingTestCase):
	"""A user who may do what a System Manager may with orders: submit them, and what `may` adds."""

	def setUp(self) -> None:
		super().setUp()
		if not frappe.db.exists("User", WRITER):
			user = {"doctype": "User", "email": WRITER, "first_name": "Writer", "send_welcome_email": 0}
			frappe.get_doc(user).insert()
		frappe.get_doc("User", WRITER).add_roles("System Manager")
		self.addCleanup(self.put_back)
		order = {"doctype": ORDER, "title": "Order 0", "city": "Ulm", "margin": "3"}
		self.order = frappe.get_doc(order).insert()
		self.order.submit()
		frappe.db.commit()

	def put_back(self) -> None:
		frappe.set_user("Administrator")
		reset_perms(ORDER)
		frappe.clear_cache(doctype=ORDER)
		frappe.db.commit()

	def may(self, *kinds: str) -> None:
		for kind in kinds:
			update_permission_property(ORDER, "System Manager", 0, kind, 1)
		frappe.db.commit()

	def write(self, values: dict, **change):
		frappe.set_user(WRITER)
		with self.runtime.db.transaction():
			[one] = DocumentTarget(self.runtime, ORDER).write(
				[Change("0", self.order.name, values, **change)]
			)
		frappe.db.commit()
		return one

	def test_one_who_may_not_cancel_cancels_and_amends_nothing(self):
		cancelled = self.write({}, state=CANCEL).error
		amended = self.write({"city": "Bonn"}, state=SUBMIT, on_submitted="Amend").error
		with self.runtime.db.transaction():
			gone = DocumentTarget(self.runtime, ORDER).cancel([self.order.name])
		for error in (cancelled, amended, gone.get(self.order.name)):
			self.assertIsInstance(error, frappe.PermissionError)
		self.assertEqual(self.states(), [1])

	def test_one_who_may_not_amend_leaves_the_document_as_it_is(self):
		frappe.db.set_value(ORDER, self.order.name, "margin", "")
		self.may("cancel")
		amended = self.write({"city": "Bonn"}, state=SUBMIT, on_submitted="Amend")
		self.assertIsInstance(amended.error, frappe.PermissionError)
		self.assertEqual(self.states(), [1])

	def test_an_amendment_that_would_lose_what_one_may_not_write_is_refused(self):
		self.may("cancel", "amend")
		amended = self.write({"city": "Bonn"}, state=SUBMIT, on_submitted="Amend")
		self.assertIn(f"margin of {ORDER} has permission level 1", str(amended.error))
		self.assertEqual((self.states(), frappe.db.get_value(ORDER, self.order.name, "margin")), ([1], "3"))

	def test_an_amendment_may_not_write_what_its_user_may_not(self):
		self.may("cancel", "amend")
		frappe.db.set_value(ORDER, self.order.name, "margin", "")
		frappe.db.commit()
		values = {"city": "Bonn", "margin": "9"}
		amended = self.write(values, state=SUBMIT, on_submitted="Amend")
		self.assertIn(f"margin of {ORDER} has permission level 1", str(amended.error))
		self.assertEqual(self.states(), [1])

	def test_an_amendment_leaves_what_is_written_only_where_it_is_blank(self):
		change = {"state": SUBMIT, "on_submitted": "Amend", "only_blank": ["title"]}
		frappe.db.set_value(ORDER, self.order.name, "margin", "")
		self.may("cancel", "amend")
		amended = self.write({"city": "Bonn", "title": "Else"}, **change)
		self.assertIsNone(amended.error)
		now = frappe.get_doc(ORDER, amended.name)
		self.assertEqual((now.title, now.city, now.docstatus), ("Order 0", "Bonn", 1))


class TestSettings(SubmittingTestCase):
	def test_what_cannot_be_submitted_is_refused_by_field(self):
		for settings, says in (
			({"target_doctype": "ToDo"}, "ToDo is not submittable"),
			({"submit_when": "a ==="}, "JMESPath"),
			({"after_writing": "Leave as Draft", "submit_when": "a"}, "has no use"),
		):
			with self.subTest(settings), self.assertRaisesRegex(frappe.ValidationError, says):
				self.stream(**settings)

	def test_a_dry_run_shows_what_is_submitted_and_writes_nothing(self):
		self.stream()
		found = dry_run(self.runtime, STREAM)
		self.assertEqual(found.sample[0].changes["docstatus"], [0, 1])
		self.assertEqual(self.states(), [])

	def test_fields_that_are_filled_stay(self):
		self.stream(after_writing="Leave as Draft")
		frappe.db.set_value("Sync Field Mapping", {"parent": STREAM, "field": "phone"}, "only", "If Blank")
		frappe.db.set_value("Sync Field Mapping", {"parent": STREAM, "field": "city"}, "only", "On Create")
		frappe.db.commit()
		self.change(0, phone="")
		self.run_orders()
		cities = [self.doc(number).city for number in range(3)]
		phone = self.doc(1).phone
		for number in range(3):
			self.change(number, phone=f"1{number}", city="Kiel")
		self.run_orders()
		self.assertEqual([self.doc(number).city for number in range(3)], cities)
		self.assertEqual((self.doc(0).phone, self.doc(1).phone), ("10", phone))


class TestDocumentFromDocument(SubmittingTestCase):
	def setUp(self) -> None:
		super().setUp()
		self.allow("make_invoice")
		self.stream()
		self.addCleanup(frappe.conf.pop, HOOK, None)

	def allow(self, *names: str) -> None:
		frappe.conf[HOOK] = [f"{__name__}.{name}" for name in names]

	def invoices(self, name: str = "make_invoice", **settings) -> None:
		if frappe.db.exists("Sync Settings", INVOICES):
			frappe.delete_doc("Sync Settings", INVOICES, force=True)
		values = {
			"target_doctype": INVOICE,
			"endpoint": "/v1/orders",
			"pagination": "None",
			"more_path": "",
			"deletion_policy": "Keep",
			"mapper": f"{__name__}.{name}",
			"made_from": STREAM,
			"skip_when": "!paid",
			"after_writing": "Submit",
			**settings,
		}
		make_stream(INVOICES, [{"source_path": "paid", "field": "paid_on"}], **values)

	def run_invoices(self) -> dict:
		run = run_stream(self.runtime, INVOICES)
		self.said = run["error"]
		frappe.db.commit()
		return run

	def made(self) -> list:
		return frappe.get_all(INVOICE, fields=["order", "paid_on", "title", "docstatus"])

	def test_an_invoice_is_made_once_when_its_order_is_paid(self):
		self.invoices()
		self.run_orders()
		self.assertEqual(self.run_invoices()["created"], 0)
		self.change(paid="2026-01-05")
		self.run_orders()
		for _ in range(2):
			self.run_invoices()
		[invoice] = self.made()
		self.assertEqual(invoice.order, self.record().target_name)
		self.assertEqual((invoice.paid_on, invoice.title, invoice.docstatus), ("2026-01-05", "Order 0", 1))

	def test_it_waits_for_its_order_and_for_its_submission(self):
		self.invoices()
		self.change(paid="2026-01-05")
		self.assertEqual(self.run_invoices()["failed"], 1)
		self.assertIn(f"there is no {ORDER} of stream {STREAM} '0' yet", self.said)
		frappe.db.set_value("Sync Settings", STREAM, "after_writing", "Leave as Draft")
		frappe.db.commit()
		self.run_orders()
		self.assertEqual((self.run_invoices()["failed"], self.made()), (1, []))
		frappe.db.set_value("Sync Settings", STREAM, "after_writing", "Submit")
		frappe.db.commit()
		self.run_orders()
		self.assertEqual(self.run_invoices()["created"], 1, self.said)

	def test_what_is_no_longer_allowed_makes_nothing(self):
		self.invoices()
		self.change(paid="2026-01-05")
		self.run_orders()
		self.allow()
		with self.assertRaisesRegex(HubError, f"mapper.*make_invoice is not allowed: {HOOK}"):
			self.run_invoices()
		target = DocumentTarget(self.runtime, INVOICE)
		origin = (ORDER, self.record().target_name)
		[one] = target.write([Change("1", None, {}, mapper=f"{__name__}.make_invoice", origin=origin)])
		self.assertIn("is not allowed", str(one.error))
		self.assertEqual(self.made(), [])

	def test_a_function_that_saves_by_itself_is_undone(self):
		self.allow("make_and_save")
		self.invoices("make_and_save")
		self.change(paid="2026-01-05")
		self.run_orders()
		self.assertEqual(self.run_invoices()["failed"], 1)
		self.assertIn(f"makes no new {INVOICE}", self.said)
		self.assertEqual(self.made(), [])

	def test_a_dry_run_names_what_it_is_made_of(self):
		self.invoices()
		self.change(paid="2026-01-05")
		self.run_orders()
		[one] = dry_run(self.runtime, INVOICES).sample
		self.assertIn(f"make_invoice makes it from {ORDER} {self.record().target_name}", one.doubt)
		self.assertEqual(self.made(), [])

	def test_wrong_settings_are_refused_by_field(self):
		self.allow("make_invoice", "make_for_company", "make_unlisted", "make_nothing")
		for name, settings, says in (
			("make_for_company", {}, "needs more than a document: company"),
			("make_unlisted", {}, "is not whitelisted"),
			("make_nothing", {}, "there is no function"),
			("make_and_save", {}, "is not allowed"),
			("make_invoice", {"made_from": ""}, "needs the name of another stream"),
			("make_invoice", {"made_from_id": "a ==="}, "JMESPath"),
			("make_invoice", {"mapper": "", "made_from_id": "id"}, "has no use"),
			("make_invoice", {"write_mode": "Bulk"}, "Bulk"),
		):
			with self.subTest(name, **settings), self.assertRaisesRegex(frappe.ValidationError, says):
				self.invoices(name, **settings)
