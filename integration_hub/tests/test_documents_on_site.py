"""Documents as their user's own save would write them: only what differs, nothing silently, nothing for long."""

import socket
import threading
import time
from contextlib import contextmanager
from unittest.mock import patch

import frappe
from frappe.permissions import add_permission, reset_perms, update_permission_property

from integration_hub.runtime.frappe.autonomous import autonomous_transaction
from integration_hub.runtime.frappe.documents import DocumentTarget
from integration_hub.stores.bindings import binding_name
from integration_hub.stores.runtime import CancelledDocument, Change, NotKept
from integration_hub.sync import page_writer
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, drop_doctypes, errors
from integration_hub.tests.test_writing_on_site import make_doctype, make_stream

ORDER, LINE, PLAIN, SERIES = "Hub Test Sale", "Hub Test Sale Line", "Hub Test Note", "Hub Test Series"
WRITER = "hub-writer@example.com"
ROLE = "Hub Test Writer"


def field(name: str, kind: str = "Data", **values) -> dict:
	return {"fieldname": name, "label": frappe.unscrub(name), "fieldtype": kind, **values}


def set_back(doc, method=None) -> None:
	"""Stands for a controller that does not let a document be disabled."""
	doc.disabled = 0


def set_back_later(doc, method=None) -> None:
	doc.db_set("disabled", 0)


def decide_second(doc, method=None) -> None:
	doc.second = "decided here"


def refuse_to_be_shown(doc, method=None) -> None:
	doc.disabled = 1


edited: list[str] = []


refusal: list[str] = []


def refuse(doc, method=None) -> None:
	frappe.throw(refusal[0])


def save_another(doc, method=None) -> None:
	"""Stands for a controller that saves a document beside its own, which a user saves as well."""
	if doc.title == "Other":
		return
	other = frappe.get_doc(PLAIN, doc.second)
	if not edited:
		edited.append(doc.second)
		edit_autonomously(PLAIN, doc.second)
	other.level = doc.title
	other.save()


def edit_autonomously(doctype: str, name: str) -> None:
	"""Have a user save a document from another connection."""

	def edit() -> None:
		doc = frappe.get_doc(doctype, name)
		doc.note = f"{doc.note or ''}edited"
		doc.save()
		frappe.db.commit()

	autonomous_transaction(edit)


@contextmanager
def events(**handlers: str):
	"""Have functions of this module called for documents of PLAIN."""
	hooks = frappe.get_doc_hooks()
	here = {event: [f"{__name__}.{name}"] for event, name in handlers.items()}
	with patch.object(frappe, "get_doc_hooks", lambda: {**hooks, PLAIN: here}):
		yield


class DocumentsTestCase(HubTestCase):
	@classmethod
	def setUpClass(cls) -> None:
		super().setUpClass()
		frappe.set_user("Administrator")
		line = [
			field("item", "Link", options="Sandbox Customer"),
			field("qty", "Float", allow_on_submit=1),
			field("colour", "Select", options="\nred\nblue"),
			field("ours"),
			field("secret_rate", "Float", permlevel=1),
		]
		make_doctype(LINE, line, istable=1, permissions=[])
		fields = [
			field("title"),
			field("due", "Date"),
			field("at", "Datetime"),
			field("rate", "Float"),
			field("status", allow_on_submit=1),
			field("body", "Text Editor"),
			field("lines", "Table", options=LINE),
		]
		make_doctype(ORDER, fields, is_submittable=1)
		plain = [
			field("title"),
			field("second"),
			field("note", "Small Text"),
			field("disabled", "Check"),
			field("level", permlevel=1),
		]
		make_doctype(PLAIN, plain)
		make_doctype(SERIES, [field("title")], autoname="format:HTS-{#####}")

	@classmethod
	def tearDownClass(cls) -> None:
		drop_doctypes(ORDER, LINE, PLAIN, SERIES)
		super().tearDownClass()

	def setUp(self) -> None:
		super().setUp()
		for name in (ORDER, LINE, PLAIN, SERIES):
			frappe.db.delete(name)
		self.items = [
			frappe.get_doc({"doctype": "Sandbox Customer", "customer_id": id}).insert().name
			for id in ("A", "B", "C")
		]
		frappe.db.commit()

	def write(self, doctype: str, name: str | None, values: dict, kept=()):
		"""Write one change as a page does; return its outcome."""
		target = DocumentTarget(self.runtime, doctype)
		with self.runtime.db.transaction():
			[written] = target.write([Change("X", name, values, kept)])
		return written

	def lines(self, name: str) -> dict:
		"""Return an order's lines, by the names of their rows."""
		frappe.db.commit()
		rows = frappe.get_all(
			LINE, filters={"parent": name}, fields=["name", "item", "qty", "ours"], order_by="idx"
		)
		return {row.pop("name"): row for row in rows}


class TestOnlyWhatDiffers(DocumentsTestCase):
	def order(self, *rows: tuple, submit: bool = False) -> tuple[str, dict]:
		lines = [{"item": item, "qty": qty, "colour": "red"} for item, qty in rows]
		values = {
			"title": "One",
			"due": "2026-01-31",
			"at": "2026-01-31 12:30:00.25",
			"rate": 0.1 + 0.2,
			"status": "Open",
			"body": "<p>x</p><script>alert(1)</script> a < b",
			"lines": lines,
		}
		name = self.write(ORDER, None, values).name
		for row in frappe.get_all(LINE, filters={"parent": name}, pluck="name"):
			frappe.db.set_value(LINE, row, "ours", f"kept by hand {row}")
		if submit:
			frappe.get_doc(ORDER, name).submit()
		frappe.db.commit()
		return name, values

	def test_a_submitted_document_takes_what_may_change_after_submission(self):
		a, b, _ = self.items
		name, values = self.order((a, 1), (b, 2), submit=True)
		before = self.lines(name)
		written = self.write(ORDER, name, {**values, "status": "Paid"})
		self.assertIsNone(written.error)
		self.assertEqual(frappe.db.get_value(ORDER, name, ["status", "docstatus"]), ("Paid", 1))
		self.assertEqual(self.lines(name), before)

	def test_a_row_of_a_submitted_document_takes_what_may_change(self):
		a, b, _ = self.items
		name, values = self.order((a, 1), (b, 2), submit=True)
		before = self.lines(name)
		values["lines"][1]["qty"] = 5
		self.assertIsNone(self.write(ORDER, name, values).error)
		after = self.lines(name)
		self.assertEqual(list(after), list(before))
		self.assertEqual([row.qty for row in after.values()], [1, 5])

	def test_what_may_not_change_after_submission_is_said_of_its_field(self):
		a, b, _ = self.items
		name, values = self.order((a, 1), (b, 2), submit=True)
		before = self.lines(name)
		values["lines"][1]["colour"] = "blue"
		error = str(self.write(ORDER, name, values).error)
		self.assertIn("Colour", error)
		self.assertIn(name, error)
		self.assertNotIn("<", error)
		self.assertEqual(self.lines(name), before)

	def test_what_is_the_same_is_not_saved_again(self):
		a, b, _ = self.items
		for submit in (False, True):
			name, values = self.order((a, 1), (b, 2), submit=submit)
			modified = frappe.db.get_value(ORDER, name, "modified")
			written = self.write(ORDER, name, values)
			self.assertEqual((written.error, written.same), (None, True))
			self.assertEqual(frappe.db.get_value(ORDER, name, "modified"), modified)

	def test_rows_that_did_not_change_keep_their_names(self):
		a, b, c = self.items
		row = lambda item, qty: {"item": item, "qty": qty, "colour": "red"}  # noqa: E731
		cases = {
			"another first": ([row(c, 9), row(a, 1), row(b, 2)], [None, 0, 1]),
			"one gone": ([row(b, 2)], [1]),
			"turned around": ([row(b, 2), row(a, 1)], [1, 0]),
			"another quantity": ([row(a, 1), row(b, 7)], [0, 1]),
			"the first gone, the other as it was": ([row(b, 1)], [1]),
			"another item": ([row(a, 1), row(c, 2)], [0, None]),
			"twice the same": ([row(a, 1), row(a, 1), row(b, 2)], [0, None, 1]),
			"none": ([], []),
		}
		for about, (rows, want) in cases.items():
			with self.subTest(about):
				name, values = self.order((a, 1), (b, 2))
				before = self.lines(name)
				self.assertIsNone(self.write(ORDER, name, {**values, "lines": rows}).error)
				after = self.lines(name)
				names = list(before)
				self.assertEqual([names.index(n) if n in names else None for n in after], want)
				self.assertEqual(
					[(r.item, r.qty) for r in after.values()], [(r["item"], r["qty"]) for r in rows]
				)
				for n, line in after.items():  # what is ours stays with its row, and goes to no other
					self.assertEqual(line.ours, before[n].ours if n in before else None)

	def test_a_document_that_was_cancelled_is_settled_once(self):
		mapping = [{"source_path": "name", "field": "title"}, {"source_path": "city", "field": "status"}]
		for setting, failed in (("Report Once", 1), ("Leave", 0)):
			with self.subTest(setting):
				stream = f"sales {setting}"
				make_stream(stream, mapping, target_doctype=ORDER, cancelled_documents=setting)
				run_stream(self.runtime, stream)
				id = self.crm.customers.alive()[0]["id"]
				name = frappe.db.get_value("External Record", binding_name(stream, id), "target_name")
				doc = frappe.get_doc(ORDER, name)
				doc.submit()
				doc.cancel()
				frappe.db.commit()
				self.crm.customers.set(id, city=f"elsewhere {setting}")
				row = run_stream(self.runtime, stream)
				self.assertEqual((row["failed"], row["unchanged"]), (failed, 120 - failed), row["error"])
				record = frappe.db.get_value(
					"External Record", binding_name(stream, id), ["status", "error"], as_dict=True
				)
				self.assertEqual(record.status, "Bound")
				self.assertIn(f"{ORDER} {name} is cancelled", record.error)
				self.assertEqual(len([e for e in errors() if name in e.message]), failed)
				again = run_stream(self.runtime, stream)
				self.assertEqual((again["status"], again["unchanged"]), ("Completed", 120), again["error"])
				frappe.delete_doc("Sync Settings", stream, force=True)

	def test_a_cancelled_document_that_is_as_the_source_has_it_is_fine(self):
		a, b, _ = self.items
		name, values = self.order((a, 1), (b, 2), submit=True)
		frappe.get_doc(ORDER, name).cancel()
		frappe.db.commit()
		self.assertTrue(self.write(ORDER, name, values).same)
		error = self.write(ORDER, name, {**values, "title": "Two"}).error
		self.assertIsInstance(error, CancelledDocument)
		self.assertIn("title", str(error))


class TestRefusals(DocumentsTestCase):
	def test_a_refusal_that_does_not_name_its_document_gets_its_name(self):
		name = self.write(PLAIN, None, {"title": "One"}).name
		for text, of_new, of_known in (
			("Due Date should be after Hub Test Note Date", True, True),
			("Hub Test Note HTN-7 exists already", True, True),
			("This Hub Test Note: title is missing", False, True),
			("It may not be", True, True),
			(f"Hub Test Note {name} may not be", True, False),
		):
			refusal[:] = [text]
			for known, placed in ((None, of_new), (name, of_known)):
				with self.subTest(text, known=known), events(validate="refuse"):
					error = self.write(PLAIN, known, {"title": "Two"}).error
					place = f"{PLAIN} {known or '(new)'}: " if placed else ""
					self.assertEqual(str(error), place + text)


class TestKept(DocumentsTestCase):
	def test_a_document_that_cannot_be_disabled_does_not_count_as_gone(self):
		name = self.write(PLAIN, None, {"title": "One"}).name
		for event, function in (
			("validate", "set_back"),
			("before_save", "set_back"),
			("on_update", "set_back_later"),
		):
			with self.subTest(event), events(**{event: function}):
				with self.runtime.db.transaction():
					failures = DocumentTarget(self.runtime, PLAIN).set_value([name], "disabled", "1")
				self.assertIsInstance(failures[name], NotKept)
				self.assertIn(f"{PLAIN} {name}: disabled", str(failures[name]))
		with self.runtime.db.transaction():
			self.assertEqual(DocumentTarget(self.runtime, PLAIN).set_value([name], "disabled", "1"), {})
		self.assertEqual(frappe.db.get_value(PLAIN, name, "disabled"), 1)

	def test_a_document_that_is_back_and_stays_disabled_fails(self):
		name = self.write(PLAIN, None, {"title": "One", "disabled": 1}).name
		with events(before_save="refuse_to_be_shown"):
			written = self.write(PLAIN, name, {"title": "Two", "disabled": 0}, kept=("disabled",))
		self.assertIsInstance(written.error, NotKept)
		self.assertEqual(frappe.db.get_value(PLAIN, name, "title"), "One")

	def test_a_run_says_where_the_doctypes_code_decides(self):
		mapping = [{"source_path": "name", "field": "title"}, {"source_path": "city", "field": "second"}]
		make_stream("notes", mapping, target_doctype=PLAIN)
		row = run_stream(self.runtime, "notes")
		self.assertEqual((row["status"], row["error"]), ("Completed", None))
		self.crm.customers.set("CUST-000001", city="elsewhere")
		with events(validate="decide_second"):
			row = run_stream(self.runtime, "notes")
		self.assertEqual((row["status"], row["updated"]), ("Completed", 1))
		self.assertIn("In second documents have another value", row["error"])

	def test_a_run_says_which_documents_stay_enabled(self):
		mapping = [{"source_path": "name", "field": "title"}]
		values = {"deletion_policy": "Disable", "disable_field": "disabled", "max_delete_count": 1000}
		make_stream("notes", mapping, target_doctype=PLAIN, **values)
		run_stream(self.runtime, "notes")
		id = self.crm.customers.alive()[0]["id"]
		self.crm.customers._rows.pop(id)
		with events(validate="set_back"):
			row = run_stream(self.runtime, "notes")
		self.assertEqual((row["deleted"], row["failed"], row["status"]), (0, 1, "Partial"), row["error"])
		binding = frappe.db.get_value("External Record", binding_name("notes", id), ["status", "error"])
		self.assertEqual(binding[0], "Bound")
		self.assertIn("disabled", binding[1])
		self.assertEqual(run_stream(self.runtime, "notes")["deleted"], 1)


class TestEditedMeanwhile(DocumentsTestCase):
	def test_a_users_edit_between_reading_and_saving_is_not_lost_and_fails_nothing(self):
		if frappe.db.db_type == "sqlite":
			self.skipTest("one writes at a time")
		name = self.write(PLAIN, None, {"title": "One", "note": ""}).name
		check, edits = frappe.model.document.Document.check_if_latest, []

		def edit_first(doc):
			if doc.doctype == PLAIN and not edits and threading.current_thread() is threading.main_thread():
				edits.append(doc.name)
				edit_autonomously(PLAIN, doc.name)
			return check(doc)

		with patch.object(frappe.model.document.Document, "check_if_latest", edit_first):
			written = self.write(PLAIN, name, {"title": "Two"})
		self.assertEqual((written.error, edits), (None, [name]))
		self.assertEqual(frappe.db.get_value(PLAIN, name, ["title", "note"]), ("Two", "edited"))

	def test_an_edit_of_another_document_that_the_controller_saves(self):
		if frappe.db.db_type == "sqlite":
			self.skipTest("one writes at a time")
		other = self.write(PLAIN, None, {"title": "Other", "note": ""}).name
		mapping = [
			{"source_path": "name", "field": "title"},
			{"default_value": other, "field": "second"},
		]
		make_stream("notes", mapping, target_doctype=PLAIN, page_size=500)
		for customer in self.crm.customers.alive()[1:]:
			self.crm.customers._rows.pop(customer["id"])
		edited.clear()
		with events(on_update="save_another"):
			row = run_stream(self.runtime, "notes")
		self.assertEqual((row["status"], row["created"]), ("Completed", 1), row["error"])
		self.assertIn("edited", frappe.db.get_value(PLAIN, other, "note"))

	def test_a_document_that_is_never_at_rest_fails_alone(self):
		names = [self.write(PLAIN, None, {"title": "One"}).name for _ in range(2)]
		check = frappe.model.document.Document.check_if_latest

		def never(doc):
			if doc.name == names[0]:
				raise frappe.TimestampMismatchError("Error: Document has been modified")
			return check(doc)

		from integration_hub.stores.database import in_transaction

		target = DocumentTarget(self.runtime, PLAIN)
		with patch.object(frappe.model.document.Document, "check_if_latest", never):
			outcomes = in_transaction(
				self.runtime.db, lambda: target.write([Change(n, n, {"title": "Two"}) for n in names])
			)
		self.assertIsInstance(outcomes[0].error, frappe.TimestampMismatchError)
		self.assertIn(names[0], str(outcomes[0].error))
		self.assertIsNone(outcomes[1].error)


class TestAsTheUser(DocumentsTestCase):
	"""Writing as a user who may write the DocType, but not every field and document of it."""

	def setUp(self) -> None:
		super().setUp()
		if not frappe.db.exists("Role", ROLE):
			frappe.get_doc({"doctype": "Role", "role_name": ROLE}).insert()
		if not frappe.db.exists("User", WRITER):
			user = {"doctype": "User", "email": WRITER, "first_name": "Writer", "send_welcome_email": 0}
			frappe.get_doc(user).insert()
		frappe.get_doc("User", WRITER).add_roles(ROLE)
		for doctype in (PLAIN, ORDER, "Sandbox Customer"):
			add_permission(doctype, ROLE)
			for kind in ("write", "create", "delete"):
				update_permission_property(doctype, ROLE, 0, kind, 1)
		self.addCleanup(self.put_back)
		frappe.db.commit()

	def put_back(self) -> None:
		frappe.set_user("Administrator")
		for doctype in (PLAIN, ORDER, "Sandbox Customer"):
			reset_perms(doctype)
		frappe.db.delete("User Permission", {"user": WRITER})
		frappe.clear_cache(user=WRITER)
		frappe.db.commit()

	def limit(self, doctype: str, name: str) -> None:
		frappe.get_doc(
			{"doctype": "User Permission", "user": WRITER, "allow": doctype, "for_value": name}
		).insert()
		frappe.db.commit()

	def test_a_field_at_a_level_that_one_may_not_write_is_said(self):
		name = self.write(PLAIN, None, {"title": "One", "level": "secret"}).name
		frappe.set_user(WRITER)
		for known, values in (
			(None, {"title": "Two", "level": "mine"}),
			(name, {"title": "Two", "level": "mine"}),
		):
			error = self.write(PLAIN, known, values).error
			self.assertIsInstance(error, frappe.PermissionError)
			self.assertIn("level of Hub Test Note has permission level 1", str(error))
		self.assertIsNone(self.write(PLAIN, name, {"title": "Two", "level": "secret"}).error, "it stays")
		with self.runtime.db.transaction():
			failures = DocumentTarget(self.runtime, PLAIN).set_value([name], "level", "x")
		self.assertIsInstance(failures[name], frappe.PermissionError)

	def test_the_same_in_a_child_table(self):
		line = {"item": self.items[0], "qty": 1, "secret_rate": 5}
		name = self.write(ORDER, None, {"title": "One", "lines": [line]}).name
		frappe.set_user(WRITER)
		for known, lines in (
			(None, [line]),
			(name, [{**line, "secret_rate": 6}]),
			(name, [line, {**line, "qty": 3}]),
		):
			error = str(self.write(ORDER, known, {"title": "One", "lines": lines}).error)
			self.assertIn("lines.secret_rate", error)
		self.assertIsNone(self.write(ORDER, name, {"title": "Two", "lines": [line]}).error)

	def test_documents_beyond_user_permissions_stay_as_they_are(self):
		a, b, _ = self.items
		mine = self.write(ORDER, None, {"title": "One", "lines": [{"item": a, "qty": 1}]}).name
		theirs = self.write(ORDER, None, {"title": "One", "lines": [{"item": b, "qty": 1}]}).name
		self.limit("Sandbox Customer", a)
		frappe.set_user(WRITER)
		to_mine = {"title": "Two", "lines": [{"item": a, "qty": 2}]}
		self.assertIsNone(self.write(ORDER, mine, to_mine).error)
		for name, values in (
			(theirs, to_mine),
			(mine, {"title": "Three", "lines": [{"item": b, "qty": 1}]}),
			(None, {"title": "Three", "lines": [{"item": b, "qty": 1}]}),
		):
			error = self.write(ORDER, name, values).error
			self.assertIsInstance(error, frappe.PermissionError)
			self.assertIn(ORDER, str(error), "an error says what it is about")
		with self.runtime.db.transaction():
			failures = DocumentTarget(self.runtime, ORDER).delete([theirs, mine])
		self.assertEqual(list(failures), [theirs])

	def test_a_stream_to_such_a_field_is_refused_when_it_is_saved(self):
		mapping = [{"source_path": "name", "field": "title"}, {"source_path": "city", "field": "level"}]
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", WRITER)
		frappe.db.commit()
		for write_mode in ("Documents", "Bulk"):
			with self.assertRaises(frappe.ValidationError) as caught:
				make_stream(f"n {write_mode}", mapping, target_doctype=PLAIN, write_mode=write_mode)
			self.assertIn("permission level 1", str(caught.exception))
			frappe.db.rollback()


def make_contact(doc, method=None) -> None:
	"""Stands for a controller that makes a Contact, as a Customer's does."""
	rows = [{"email_id": "hub-nested@example.com", "is_primary": 1}]
	frappe.get_doc({"doctype": "Contact", "first_name": "Hub Nested", "email_ids": rows}).insert()


@contextmanager
def no_network():
	"""Give the list of what is called beyond this machine, and let nothing out."""
	called, connect, look_up = [], socket.socket.connect, socket.getaddrinfo

	def is_near(host) -> bool:
		return host in ("localhost", "127.0.0.1", "::1", None) or str(host).startswith("/")

	def connect_near(sock, address):
		if isinstance(address, tuple) and not is_near(address[0]):
			called.append(address)
			raise OSError("no network")
		return connect(sock, address)

	def look_up_near(host, *args, **kwargs):
		if not is_near(host):
			called.append(host)
			raise OSError("no network")
		return look_up(host, *args, **kwargs)

	with (
		patch.object(socket.socket, "connect", connect_near),
		patch.object(socket, "getaddrinfo", look_up_near),
		# With it, Frappe itself asks nobody; v16 has it in both places.
		patch.dict(frappe.flags, {"in_test": False}),
		patch.object(frappe, "in_test", False, create=True),
	):
		yield called


class TestNoNetwork(DocumentsTestCase):
	def setUp(self) -> None:
		super().setUp()
		frappe.db.delete("Contact Email")
		frappe.db.delete("Contact")
		frappe.db.commit()

	def test_frappe_would_call_gravatar(self):
		with no_network() as called:
			make_contact(None)
		frappe.db.rollback()
		self.assertEqual(called, ["secure.gravatar.com"])

	def test_no_save_of_a_page_leaves_this_machine(self):
		emails = [{"email_id": "hub-page@example.com", "is_primary": 1}]
		cases = {
			"Contact": {"first_name": "Hub", "email_ids": emails},
			"User": {"email": "hub-page@example.com", "first_name": "Hub", "send_welcome_email": 0},
			"Address": {
				"address_title": "Hub",
				"address_type": "Billing",
				"address_line1": "1",
				"city": "x",
				"country": "India",
			},
			"Event": {"subject": "Hub", "starts_on": "2026-01-01 10:00:00"},
			"ToDo": {"description": "Hub"},
			"File": {"file_name": "hub.png", "file_url": "https://files.example.com/hub.png"},
			"Communication": {"subject": "Hub", "content": "x", "recipients": "hub@example.com"},
		}
		if not frappe.db.exists("Country", "India"):
			frappe.get_doc({"doctype": "Country", "country_name": "India", "code": "in"}).insert()
			frappe.db.commit()
		for doctype, values in cases.items():
			with self.subTest(doctype), no_network() as called:
				written = self.write(doctype, None, values)
				self.assertIsNone(written.error)
				first = next(
					field
					for field in ("first_name", "city", "subject", "description", "file_name")
					if field in values
				)
				changed = {first: "Hub Two"} if doctype != "File" else {"folder": "Home"}
				self.assertIsNone(self.write(doctype, written.name, changed).error)
				with self.runtime.db.transaction():
					self.assertEqual(DocumentTarget(self.runtime, doctype).delete([written.name]), {})
				self.assertEqual(called, [])

	def test_a_contact_that_a_controller_makes_asks_nobody(self):
		with no_network() as called, events(on_update="make_contact"):
			self.assertIsNone(self.write(PLAIN, None, {"title": "One"}).error)
		self.assertEqual(called, [])
		self.assertEqual(
			frappe.get_all("Contact", fields=["first_name", "image"]),
			[{"first_name": "Hub Nested", "image": None}],
		)

	def test_an_image_of_the_source_is_kept_and_a_person_still_gets_one(self):
		emails = [{"email_id": "hub-page@example.com", "is_primary": 1}]
		values = {"first_name": "Hub", "email_ids": emails, "image": "/files/hub.png"}
		with no_network() as called:
			name = self.write("Contact", None, values).name
			self.assertEqual(frappe.db.get_value("Contact", name, "image"), "/files/hub.png")
			self.assertIsNone(self.write("Contact", name, {"image": None}).error)
			self.assertFalse(frappe.db.get_value("Contact", name, "image"))
			self.assertEqual(called, [])
			doc = frappe.get_doc("Contact", name)
			doc.save()
			self.assertEqual(called, ["secure.gravatar.com"])


class TestShortTransactions(DocumentsTestCase):
	def test_others_get_in_between_the_parts_of_a_page(self):
		"""Somebody else makes documents of the same naming series while one page is written."""
		if frappe.db.db_type == "sqlite":
			self.skipTest("one writes at a time, and waits as SQLite does")
		make_stream(
			"series", [{"source_path": "name", "field": "title"}], target_doctype=SERIES, page_size=500
		)
		write, ended, made = DocumentTarget._write, threading.Event(), []
		site, sites_path = frappe.local.site, frappe.local.sites_path

		def slow(target, change):
			time.sleep(0.02)
			return write(target, change)

		def make_others() -> None:
			frappe.init(site=site, sites_path=sites_path)
			frappe.connect()
			try:
				while not ended.is_set():
					frappe.get_doc({"doctype": SERIES, "title": "theirs"}).insert()
					frappe.db.commit()
					if not ended.is_set():
						made.append(time.monotonic())
					time.sleep(0.05)
			finally:
				frappe.destroy()

		thread = threading.Thread(target=make_others)
		with patch.object(DocumentTarget, "_write", slow), patch.object(page_writer, "LONG_ENOUGH", 0.3):
			thread.start()
			try:
				row = run_stream(self.runtime, "series")
			finally:
				ended.set()
				thread.join()
		self.assertEqual((row["status"], row["created"], row["pages"]), ("Completed", 120, 1), row["error"])
		self.assertGreater(len(made), 3, "they were made between the parts, not after the page")
		self.assertEqual(frappe.db.count(SERIES, {"title": ["!=", "theirs"]}), 120)
