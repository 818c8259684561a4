"""Bulk writes only what is safe for it by what it is, only what its user may write, and text as a Document stores it."""

from __future__ import annotations

import random
from unittest.mock import patch

import frappe
from frappe.model.document import Document
from frappe.permissions import add_permission, reset_perms, update_permission_property
from frappe.utils.nestedset import NestedSet

from integration_hub.runtime.frappe import bulk_rules
from integration_hub.runtime.frappe.bulk_rules import bulk_problem
from integration_hub.runtime.frappe.documents import FrappeBulkTarget, doctype_fields
from integration_hub.stores.runtime import Change, HubError
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, drop_doctypes
from integration_hub.tests.test_documents_on_site import ROLE, WRITER, field
from integration_hub.tests.test_writing_on_site import make_doctype, make_stream

MIRROR, ROW, PLACE = "Hub Test Bulk", "Hub Test Bulk Row", "Hub Test Place"
NAME_ONLY = [{"source_path": "name", "field": "title"}]

# Each is one that a Manager has the right to write on some site, and means something to Frappe.
OF_FRAPPE = (
	"Workspace",
	"ToDo",
	"Event",
	"Tag",
	"List Filter",
	"Notification Settings",
	"User",
	"Role",
	"Custom Field",
	"Property Setter",
	"Server Script",
	"Client Script",
	"Report",
	"Print Format",
	"Web Page",
	"Letter Head",
	"Email Template",
	"Notification",
	"Webhook",
	"DocType",
	"User Permission",
	"Custom DocPerm",
	"DocShare",
	"Contact",
	"Address Template",
	"Language",
	"Number Card",
	"Web Form",
	"Translation",
	"File",
	"Comment",
	"Communication",
	"Note",
	"Dashboard",
)

PAYLOADS = (
	"<script>alert(1)</script>",
	"<img src=x onerror=alert(1)>",
	"<a href='javascript:alert(1)'>x</a>",
	"<svg onload=alert(1)><g/></svg>",
	"<b>bold</b> and <i onclick=alert(1)>more</i>",
	"<iframe src='https://evil.example.com'></iframe>",
	"<!-- markdown --> **x** <script>1</script>",
	"<!-- markdown --> only **text** > quote",
	'{"a": "<script>alert(1)</script>"}',
	"a < b and c > d",
	"<p style='color: red; behavior: url(x)'>x</p>",
	"<object data='x'></object><embed src=x>",
	"<math><mtext></mtext></math>",
	"plain",
	"x > y",
	"<",
	"&lt;script&gt;",
	"<scr<script>ipt>alert(1)</scr</script>ipt>",
	"\x3cdiv data-x='1' onmouseover=alert(1)>",
)

TEXTS = {
	"data": {"kind": "Data", "length": 2000},
	"small": {"kind": "Small Text"},
	"text": {"kind": "Text"},
	"long": {"kind": "Long Text"},
	"editor": {"kind": "Text Editor"},
	"html": {"kind": "HTML Editor"},
	"code": {"kind": "Code"},
	"code_of_html": {"kind": "Code", "options": "HTML"},
	"markdown": {"kind": "Markdown Editor"},
	"json": {"kind": "JSON"},
	"unfiltered": {"kind": "Data", "length": 2000, "ignore_xss_filter": 1},
	"read_only": {"kind": "Read Only", "length": 2000},
	"auto": {"kind": "Autocomplete", "length": 2000},
	"colour": {"kind": "Color", "length": 2000},
	"icon": {"kind": "Icon", "length": 2000},
	"attach": {"kind": "Attach"},
	"barcode": {"kind": "Barcode"},
	"chosen": {"kind": "Select", "length": 2000},
}


def handled(doc, method=None) -> None:
	"""Stands for an app's handler."""


class BulkTestCase(HubTestCase):
	@classmethod
	def setUpClass(cls) -> None:
		super().setUpClass()
		frappe.set_user("Administrator")
		make_doctype(PLACE, [field("title")])
		texts = [field(name, **values) for name, values in TEXTS.items()]
		make_doctype(ROW, [field("item"), *(dict(f) for f in texts)], istable=1, permissions=[])
		fields = [
			field("title"),
			field("place", "Link", options=PLACE),
			field("level", permlevel=1),
			field("site", options="URL"),
			*texts,
			field("rows", "Table", options=ROW),
		]
		make_doctype(MIRROR, fields)

	@classmethod
	def tearDownClass(cls) -> None:
		drop_doctypes(MIRROR, ROW, PLACE)
		super().tearDownClass()

	def setUp(self) -> None:
		super().setUp()
		for name in (MIRROR, ROW, PLACE):
			frappe.db.delete(name)
		frappe.db.commit()

	def target(self, as_is=()) -> FrappeBulkTarget:
		return FrappeBulkTarget(self.runtime, MIRROR, doctype_fields(MIRROR), as_is)

	def write(self, values: dict, name: str | None = None, as_is=()):
		with self.runtime.db.transaction():
			[written] = self.target(as_is).write([Change("X", name, values)])
		return written


class TestSafety(BulkTestCase):
	def refused(self, doctype: str, word: str = "") -> None:
		problem = bulk_problem(doctype)
		self.assertTrue(problem, f"{doctype} is taken")
		self.assertIn(word, problem)

	def test_nothing_of_frappes_own_is_written_in_bulk(self):
		for doctype in OF_FRAPPE:
			if frappe.db.exists("DocType", doctype):
				with self.subTest(doctype):
					self.refused(doctype, "Frappe's own")

	def test_no_doctype_of_frappe_at_all(self):
		modules = frappe.get_all("Module Def", filters={"app_name": "frappe"}, pluck="name")
		for doctype in frappe.get_all(
			"DocType", filters={"module": ["in", modules], "custom": 0}, pluck="name"
		):
			self.refused(doctype)

	def test_saving_such_a_stream_is_refused_and_documents_may_be_used(self):
		with self.assertRaises(frappe.ValidationError) as caught:
			make_stream(
				"todo",
				[{"source_path": "name", "field": "description"}],
				target_doctype="ToDo",
				write_mode="Bulk",
			)
		for word in ("todo", "Write Mode", "ToDo", "Use Documents"):
			self.assertIn(word, str(caught.exception))
		frappe.db.rollback()
		make_stream("todo", [{"source_path": "name", "field": "description"}], target_doctype="ToDo")

	def test_what_a_doctype_is_decides(self):
		self.assertEqual(bulk_problem(MIRROR), "")
		self.assertEqual(bulk_problem(MIRROR, ["rows"]), "")
		self.assertEqual(bulk_problem("Sandbox Customer"), "")

		class Empty(Document):
			"""Is no more than a Document."""

			title: str

		class Own(Document):
			def validate(self):
				pass

		class Inherits(Own):
			pass

		class Mixin:
			def on_update(self):
				pass

		class Extended(Mixin, Document):
			pass

		class Value(Document):
			allow_anything = True

		class Tree(NestedSet):
			pass

		for controller, taken in (
			(Empty, True),
			(Own, False),
			(Inherits, False),
			(Extended, False),
			(Value, False),
			(Tree, False),
		):
			with self.subTest(controller), patch.object(bulk_rules, "get_controller", lambda _: controller):  # noqa: B023
				self.assertEqual(not bulk_problem(MIRROR), taken)
				self.assertEqual(not bulk_problem(MIRROR, ["rows"]), taken)

	def test_events_forbid_it(self):
		hooks = frappe.get_doc_hooks()
		for key, handler, taken in (
			(MIRROR, "any_app.events.handle", False),
			("*", "any_app.events.handle", False),
			("*", "frappe.desk.notifications.clear_doctype_notifications", True),
			("Contact", "any_app.events.handle", True),
		):
			with self.subTest(key=key, handler=handler):
				events = {**hooks, key: {"on_update": [handler]}}
				with patch.object(frappe, "get_doc_hooks", lambda: events):  # noqa: B023
					self.assertEqual(not bulk_problem(MIRROR), taken)

	def test_an_app_names_its_own_and_the_operator_any_but_frappes(self):
		hooks = {**frappe.get_doc_hooks(), MIRROR: {"on_update": ["any_app.events.handle"]}}
		get_hooks = frappe.get_hooks

		def named(hook=None, *args, **kwargs):
			return [MIRROR, "ToDo"] if hook == bulk_rules.HOOK else get_hooks(hook, *args, **kwargs)

		with patch.object(frappe, "get_doc_hooks", lambda: hooks):
			self.refused(MIRROR)
			with patch.object(frappe, "get_hooks", named):
				self.assertEqual(bulk_problem(MIRROR), "")
				self.refused("ToDo")
			with patch.dict(frappe.local.conf, {bulk_rules.HOOK: [MIRROR, "ToDo"]}):
				self.assertEqual(bulk_problem(MIRROR), "")
				self.refused("ToDo")

	def test_what_people_set_up_forbids_it(self):
		script = {
			"doctype": "Server Script",
			"name": "hub-bulk",
			"script_type": "DocType Event",
			"script": "pass",
		}
		doc = frappe.get_doc({**script, "reference_doctype": MIRROR, "doctype_event": "Before Save"})
		doc.insert()
		self.refused(MIRROR, "hub-bulk")
		doc.disabled = 1
		doc.save()
		self.assertEqual(bulk_problem(MIRROR), "")
		doc.delete()

	def test_kinds_of_doctypes(self):
		for property in ("is_submittable", "has_web_view", "is_tree"):
			with self.subTest(property):
				meta = frappe.get_meta(MIRROR)
				with patch.dict(meta.__dict__, {property: 1}):
					self.refused(MIRROR)

	def test_a_table_of_frappes_own_is_not_written_along(self):
		meta = frappe.get_meta(MIRROR)
		with patch.object(meta.get_field("rows"), "options", "Has Role"):
			self.assertIn("rows", bulk_problem(MIRROR, ["rows"]))
			self.assertEqual(bulk_problem(MIRROR), "")

	def test_it_is_asked_again_when_it_writes(self):
		make_stream(
			"mirror",
			NAME_ONLY,
			target_doctype=MIRROR,
			write_mode="Bulk",
			deletion_policy="Disable",
			disable_field="level",
		)
		self.assertEqual(run_stream(self.runtime, "mirror")["status"], "Completed")
		hooks = {**frappe.get_doc_hooks(), MIRROR: {"on_update": ["any_app.events.handle"]}}
		self.crm.customers.set("CUST-000001", name="another")
		with patch.object(frappe, "get_doc_hooks", lambda: hooks):
			row = run_stream(self.runtime, "mirror")
			self.assertEqual((row["status"], row["updated"]), ("Failed", 0))
			self.assertIn("any_app.events.handle", row["error"])
			self.assertIn(MIRROR, row["error"])
			for call in (
				lambda target: target.delete(["x"]),
				lambda target: target.set_value(["x"], "title", "y"),
			):
				with self.assertRaises(HubError):
					call(self.target())
		frappe.db.rollback()
		self.assertEqual(run_stream(self.runtime, "mirror")["status"], "Completed")


class TestAsTheUser(BulkTestCase):
	def setUp(self) -> None:
		super().setUp()
		if not frappe.db.exists("Role", ROLE):
			frappe.get_doc({"doctype": "Role", "role_name": ROLE}).insert()
		if not frappe.db.exists("User", WRITER):
			user = {"doctype": "User", "email": WRITER, "first_name": "Writer", "send_welcome_email": 0}
			frappe.get_doc(user).insert()
		frappe.get_doc("User", WRITER).add_roles(ROLE)
		add_permission(MIRROR, ROLE)
		for kind in ("write", "create", "delete"):
			update_permission_property(MIRROR, ROLE, 0, kind, 1)
		self.places = [frappe.get_doc({"doctype": PLACE, "title": title}).insert().name for title in "ab"]
		self.addCleanup(self.put_back)
		frappe.db.commit()

	def put_back(self) -> None:
		frappe.set_user("Administrator")
		frappe.db.rollback()
		reset_perms(MIRROR)
		frappe.db.delete("User Permission", {"user": WRITER})
		frappe.clear_cache(user=WRITER)
		frappe.db.commit()

	def test_levels(self):
		name = self.write({"title": "One", "level": "secret"}).name
		frappe.set_user(WRITER)
		for known in (None, name):
			written = self.write({"title": "Two", "level": "mine"}, known)
			self.assertIsInstance(written.error, frappe.PermissionError)
			self.assertIn("level", str(written.error))
		with self.runtime.db.transaction():
			self.assertIn(name, self.target().set_value([name], "level", "x"))
		self.assertEqual(frappe.db.get_value(MIRROR, name, ["title", "level"]), ("One", "secret"))
		self.assertIsNone(self.write({"title": "Two"}, name).error)

	def test_rows_beyond_user_permissions_are_refused_one_by_one(self):
		mine, theirs = self.places
		known = [self.write({"title": "One", "place": place}).name for place in self.places]
		frappe.get_doc(
			{"doctype": "User Permission", "user": WRITER, "allow": PLACE, "for_value": mine}
		).insert()
		frappe.db.commit()
		frappe.set_user(WRITER)
		cases = [
			(known[0], mine, True),
			(known[0], theirs, False),
			(known[1], mine, False),
			(known[1], theirs, False),
			(None, mine, True),
			(None, theirs, False),
		]
		changes = [
			Change(str(n), name, {"title": "Two", "place": place}) for n, (name, place, _) in enumerate(cases)
		]
		with self.runtime.db.transaction():
			outcomes = self.target().write(changes)
		for (name, place, taken), outcome in zip(cases, outcomes, strict=True):
			with self.subTest(name=name, place=place):
				self.assertEqual(outcome.error is None, taken, outcome.error)
		self.assertEqual(frappe.db.get_value(MIRROR, known[1], "title"), "One")
		with self.runtime.db.transaction():
			self.assertEqual(list(self.target().set_value(known, "title", "Three")), [known[1]])
			self.assertEqual(list(self.target().delete(known)), [known[1]])
		frappe.set_user("Administrator")
		self.assertEqual(frappe.db.get_value(MIRROR, known[1], "title"), "One")

	def test_only_ones_own(self):
		update_permission_property(MIRROR, ROLE, 0, "if_owner", 1)
		frappe.clear_cache()
		theirs = self.write({"title": "One"}).name
		frappe.set_user(WRITER)
		mine = self.write({"title": "One"})
		self.assertIsNone(mine.error)
		self.assertIsNone(self.write({"title": "Two"}, mine.name).error)
		self.assertIsInstance(self.write({"title": "Two"}, theirs).error, frappe.PermissionError)
		update_permission_property(MIRROR, ROLE, 0, "if_owner", 0)

	def test_a_hook_that_denies(self):
		name = self.write({"title": "One"}).name
		frappe.set_user(WRITER)
		hooks = frappe.get_hooks

		def denied(hook=None, *args, **kwargs):
			found = hooks(hook, *args, **kwargs)
			return {**found, MIRROR: [f"{__name__}.deny"]} if hook == "has_permission" else found

		with patch.object(frappe, "get_hooks", denied):
			for known in (None, name):
				self.assertIsInstance(self.write({"title": "Two"}, known).error, frappe.PermissionError)


def deny(doc, ptype=None, user=None, debug=False) -> bool:
	return False


class TestText(BulkTestCase):
	def as_document(self, values: dict) -> dict:
		doc = frappe.get_doc({"doctype": MIRROR, **values, "rows": [dict(row) for row in values["rows"]]})
		doc.insert()
		found = self.stored(doc.name)
		frappe.db.rollback()
		return found

	def stored(self, name: str) -> dict:
		fields = [*TEXTS]
		[row] = frappe.get_all(MIRROR, filters={"name": name}, fields=fields)
		return {
			"": row,
			**dict(enumerate(frappe.get_all(ROW, filters={"parent": name}, fields=fields, order_by="idx"))),
		}

	def test_text_is_stored_as_a_document_stores_it(self):
		for payload in PAYLOADS:
			with self.subTest(payload):
				texts = dict.fromkeys(TEXTS, payload)
				if not payload.startswith("{"):
					texts["json"] = None
				values = {"title": "One", **texts, "rows": [{"item": "a", **texts}, {"item": "b", **texts}]}
				want = self.as_document(values)
				made = self.write(values)
				self.assertIsNone(made.error)
				self.assertEqual(self.stored(made.name), want)
				other = self.write({"title": "Other", "rows": [{"item": "x"}]}).name
				self.assertIsNone(self.write(values, other).error)
				self.assertEqual(self.stored(other), want)

	def test_random_markup_is_stored_as_a_document_stores_it(self):
		chance = random.Random(15)
		pieces = (
			*PAYLOADS,
			"<",
			">",
			"</b>",
			"<p>",
			"&amp;",
			"x",
			" ",
			"\n",
			'"',
			"'",
			"<!--",
			"-->",
			"{",
			"}",
			"ü",
			"<x:y>",
		)
		for _ in range(60):
			texts = {name: "".join(chance.choices(pieces, k=chance.randint(1, 5)))[:400] for name in TEXTS}
			values = {"title": "One", **texts, "json": None, "rows": [{"item": "a", **texts, "json": None}]}
			with self.subTest(texts):
				want = self.as_document(values)
				made = self.write(values)
				self.assertIsNone(made.error)
				self.assertEqual(self.stored(made.name), want)

	def test_an_image_within_text_is_left_out(self):
		"""Documents make a File of it."""
		name = self.write({"title": "One", "editor": "<img src='data:image/svg+xml;base64,PHN2Zy8+'>"}).name
		self.assertEqual(frappe.db.get_value(MIRROR, name, "editor"), "<img>")

	def test_nothing_executable_is_stored_where_frappe_shows_markup(self):
		name = self.write({"title": "<script>alert(1)</script>", "rows": []}).name
		self.assertNotIn("<script", frappe.db.get_value(MIRROR, name, "title"))
		with self.runtime.db.transaction():
			self.target().set_value([name], "title", "<img src=x onerror=alert(1)>")
		self.assertNotIn("onerror", frappe.db.get_value(MIRROR, name, "title"))

	def test_a_link_that_is_no_url_is_refused_as_a_document_refuses_it(self):
		for value, taken in (
			("https://example.com", True),
			("http://example.com/a?b=javascript:1", True),
			("javascript:alert(1)", False),
			(" JavaScript:alert(1)", False),
			("java\tscript:alert(1)", False),
			("\x01javascript://example.com/%0aalert(1)", False),
			("data://example.com/text/html,<script>alert(1)</script>", False),
			("", True),
			(None, True),
		):
			with self.subTest(value):
				error = self.write({"title": "One", "site": value}).error
				self.assertEqual(error is None, taken, error)

	def test_a_field_can_be_stored_as_it_is(self):
		payload = PAYLOADS[0]
		values = {"title": payload, "data": payload, "rows": [{"item": payload, "data": payload}]}
		name = self.write(values, as_is=("data", "rows.data")).name
		self.assertEqual(frappe.db.get_value(MIRROR, name, "data"), payload)
		self.assertNotIn("<script", frappe.db.get_value(MIRROR, name, "title"))
		[row] = frappe.get_all(ROW, filters={"parent": name}, fields=["item", "data"])
		self.assertEqual(row.data, payload)
		self.assertNotIn("<script", row.item)


class TestWhoMayStoreTextAsItIs(BulkTestCase):
	"""A manager whose own the integration is, and who decides about all else of it."""

	manager = "hub-manager@example.com"

	def setUp(self) -> None:
		super().setUp()
		if not frappe.db.exists("User", self.manager):
			user = {"doctype": "User", "email": self.manager, "first_name": "M", "send_welcome_email": 0}
			frappe.get_doc(user).insert()
		frappe.get_doc("User", self.manager).add_roles("Integration Manager")
		add_permission(MIRROR, "Integration Manager")
		for kind in ("write", "create", "delete"):
			update_permission_property(MIRROR, "Integration Manager", 0, kind, 1)
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", self.manager)
		self.addCleanup(self.put_back)
		frappe.db.commit()

	def put_back(self) -> None:
		frappe.set_user("Administrator")
		frappe.db.rollback()
		reset_perms(MIRROR)
		frappe.db.commit()

	def make(self, name: str, as_is: int, **values) -> None:
		rows = [{"source_path": "name", "field": "title", "as_is": as_is}]
		make_stream(name, rows, target_doctype=MIRROR, **{"write_mode": "Bulk", **values})

	def refused(self, doc) -> None:
		with self.assertRaisesRegex(frappe.ValidationError, "as it is"):
			doc.save()
		frappe.db.rollback()

	def test_a_manager_sets_it_nowhere(self):
		frappe.set_user(self.manager)
		self.make("plain", 0)
		with self.assertRaisesRegex(frappe.ValidationError, "System Manager"):
			self.make("raw", 1)
		frappe.db.rollback()
		doc = frappe.get_doc("Sync Settings", "plain")
		doc.mapping[0].as_is = 1
		self.refused(doc)
		row = frappe.get_doc("Sync Settings", "plain").mapping[0]
		for call in (
			lambda: frappe.client.set_value("Sync Field Mapping", row.name, "as_is", 1),
			lambda: frappe.get_doc("Sync Field Mapping", row.name).update({"as_is": 1}).save(),
		):
			with self.assertRaises((frappe.ValidationError, frappe.PermissionError)):
				call()
			frappe.db.rollback()
		self.assertEqual(frappe.db.get_value("Sync Field Mapping", row.name, "as_is"), 0)

	def test_what_has_it_is_a_system_managers_to_change(self):
		self.make("raw", 1)
		frappe.set_user(self.manager)
		for values in (
			{"endpoint": "/v1/elsewhere"},
			{"records_path": "other"},
			{"mapping": [{"source_path": "other", "field": "title", "as_is": 1}]},
			{"mapping": [{"source_path": "name", "field": "title", "as_is": 0}]},
			{"target_doctype": "Sandbox Customer"},
		):
			with self.subTest(values):
				doc = frappe.get_doc("Sync Settings", "raw")
				doc.update(values)
				with self.assertRaises(frappe.ValidationError):
					doc.save()
				frappe.db.rollback()
		copy = frappe.copy_doc(frappe.get_doc("Sync Settings", "raw"))
		copy.stream_name = "copy"
		with self.assertRaisesRegex(frappe.ValidationError, "as it is"):
			copy.insert()
		frappe.db.rollback()
		integration = frappe.get_doc("Integration Settings", "crm")
		integration.base_url = "http://127.0.0.1:9/mine"
		self.refused(integration)
		doc = frappe.get_doc("Sync Settings", "raw")
		doc.schedule = "Interval"
		doc.interval_minutes = 5
		doc.save()  # when it runs is theirs

	def test_it_is_for_bulk(self):
		with self.assertRaisesRegex(frappe.ValidationError, "text that Bulk writes"):
			self.make("documents", 1, write_mode="Documents")
		frappe.db.rollback()

	def test_a_stream_stores_a_field_as_it_is(self):
		payload = "<b onclick='x()'>bold</b>"
		self.crm.customers.set("CUST-000001", name=payload, city=payload)
		rows = [
			{"source_path": "name", "field": "title", "as_is": 1},
			{"source_path": "city", "field": "data"},
		]
		make_stream("raw", rows, target_doctype=MIRROR, write_mode="Bulk")
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", "Administrator")
		frappe.db.commit()
		row = run_stream(self.runtime, "raw")
		self.assertEqual(row["status"], "Completed", row["error"])
		self.assertEqual(frappe.get_all(MIRROR, {"title": payload}, pluck="data"), ["<b>bold</b>"])
