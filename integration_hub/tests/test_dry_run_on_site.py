"""A dry run tells what a run does: no change where there is none, and a failure where the save would fail."""

import frappe
from frappe.permissions import add_permission, reset_perms, update_permission_property

from integration_hub import api
from integration_hub.sync.dry_runs import dry_run
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, drop_doctypes, errors
from integration_hub.tests.test_writing_on_site import make_doctype, make_stream

DOCTYPE, ROW, TAG, NEEDY = "Hub Test Kind", "Hub Test Kind Row", "Hub Test Kind Tag", "Hub Test Needy"
WRITER, ROLE = "hub-dry@example.com", "Hub Test Dry"
# fieldtype → values as a source writes them; each row of a stream takes the next one of each.
KINDS = {
	"Data": ("x", " y ", "", None, "ö <b>"),
	"Small Text": ("a\nb", "<b>bold</b>", ""),
	"Text Editor": ("<p>x</p>", "a < b", "<script>alert(1)</script>z"),
	"Long Text": ("long", ""),
	"Code": ("a = 1 < 2", ""),
	"HTML Editor": ("<i>x</i>",),
	"Markdown Editor": ("# x",),
	"Int": (1, "2", 0, None),
	"Float": (1.5, "0.1", 0.30000000000000004, None, 1e-9),
	"Currency": ("12.50", 3, 0),
	"Percent": (12.5, "100"),
	"Rating": (0.8, "0.333", 0),
	"Duration": (3600, "90.5", 0),
	"Check": (True, False, 1, 0),
	"Date": ("2026-01-31", "2026-01-31T00:00:00", None, ""),
	"Datetime": ("2026-01-31T09:30:00", "2026-01-31 09:30:00.25", "2026-01-31", None),
	"Time": ("09:30:00", "9:30", "23:59:59.5"),  # into an empty one Frappe puts the time it is
	"JSON": ('{"b": 1, "a": [1, 2]}', '{"a":"ö"}', None),
	"Select": ("red", "blue", "", None),
	"Color": ("#ff0000", None),
	"Phone": ("+49-15112345678", None),
	"Read Only": ("x",),
	"Barcode": ("123",),
	"Autocomplete": ("x",),
	"Link": ("Administrator", "Guest", None),
}
PLAIN = {kind: kind.lower().replace(" ", "_") for kind in KINDS}
CHILD = ("Data", "Int", "Float", "Date", "Datetime", "Time", "Check", "Currency", "Select")


def fields(kinds) -> list[dict]:
	options = {"Select": "\nred\nblue", "Link": "User"}
	return [
		{
			"fieldname": PLAIN[k],
			"label": k,
			"fieldtype": k,
			**({"options": options[k]} if k in options else {}),
		}
		for k in kinds
	]


def rows() -> list[dict]:
	found = [{"source_path": "id", "field": "customer_id"}]
	found += [{"source_path": f"odd.{name}", "field": name} for name in PLAIN.values()]
	found += [{"source_path": "odd.rows", "field": "rows", "conversion": "Rows"}]
	found += [{"source_path": PLAIN[kind], "field": f"rows.{PLAIN[kind]}"} for kind in CHILD]
	found += [{"source_path": "odd.tags", "field": "tags", "conversion": "Rows"}]
	return [*found, {"source_path": "user", "field": "tags.user"}]


def values(number: int) -> dict:
	odd = {PLAIN[kind]: given[number % len(given)] for kind, given in KINDS.items()}
	children = [
		{PLAIN[kind]: KINDS[kind][(number + n) % len(KINDS[kind])] for kind in CHILD}
		for n in range(number % 4)
	]
	users = [["Administrator"], ["Administrator", "Guest"], []][number % 3]
	return {**odd, "rows": children, "tags": [{"user": user} for user in users]}


class DryRunTestCase(HubTestCase):
	@classmethod
	def setUpClass(cls) -> None:
		super().setUpClass()
		frappe.set_user("Administrator")
		make_doctype(ROW, fields(CHILD), istable=1, permissions=[])
		user = {"fieldname": "user", "label": "User", "fieldtype": "Link", "options": "User"}
		make_doctype(TAG, [user], istable=1, permissions=[])
		own = [
			{"fieldname": "customer_id", "fieldtype": "Data", "label": "Customer"},
			{"fieldname": "rows", "fieldtype": "Table", "label": "Rows", "options": ROW},
			{"fieldname": "tags", "fieldtype": "Table MultiSelect", "label": "Tags", "options": TAG},
		]
		make_doctype(DOCTYPE, [*fields(KINDS), *own])
		needy = [
			{"fieldname": "code", "fieldtype": "Data", "label": "Code", "unique": 1},
			{"fieldname": "title", "fieldtype": "Data", "label": "Title", "reqd": 1},
			{"fieldname": "kind", "fieldtype": "Select", "label": "Kind", "options": "a\nb", "default": "a"},
			{"fieldname": "mail", "fieldtype": "Data", "label": "Mail", "options": "Email"},
			{"fieldname": "amount", "fieldtype": "Float", "label": "Amount", "non_negative": 1},
			{"fieldname": "once", "fieldtype": "Data", "label": "Once", "set_only_once": 1},
			{"fieldname": "user", "fieldtype": "Link", "label": "User", "options": "User"},
			{"fieldname": "level", "fieldtype": "Data", "label": "Level", "permlevel": 1},
		]
		make_doctype(NEEDY, needy)

	@classmethod
	def tearDownClass(cls) -> None:
		drop_doctypes(DOCTYPE, NEEDY, ROW, TAG)
		super().tearDownClass()

	def setUp(self) -> None:
		super().setUp()
		for name in (DOCTYPE, NEEDY, ROW, TAG):
			frappe.db.delete(name)
		for name in self.ids()[40:]:
			self.crm.customers._rows.pop(name)
		frappe.db.commit()

	def ids(self) -> list[str]:
		return sorted(self.crm.customers._rows)

	def give(self, name: str, **odd) -> None:
		self.crm.customers._rows[name]["odd"] = odd


class TestNoChangeIsNone(DryRunTestCase):
	def stream(self, mode: str) -> str:
		for number, name in enumerate(self.ids()):
			self.crm.customers._rows[name]["odd"] = values(number)
		name = f"kinds-{mode}"
		make_stream(name, rows(), target_doctype=DOCTYPE, write_mode=mode)
		run = run_stream(self.runtime, name)
		frappe.db.commit()
		self.assertEqual(run["status"], "Completed", errors())
		return name

	def test_after_a_run_a_dry_run_shows_nothing(self):
		for mode in ("Documents", "Bulk"):
			with self.subTest(mode=mode):
				name = self.stream(mode)
				found = dry_run(self.runtime, name)
				self.assertEqual((found.sample, found.counts.unchanged), ([], 40))
				frappe.db.rollback()
				# The mapping is another one, say: each document is compared by what stands in it.
				frappe.db.set_value("External Record", {"stream": name}, "content_hash", "")
				frappe.db.commit()
				found = dry_run(self.runtime, name)
				self.assertEqual([(one.external_id, one.changes, one.error) for one in found.sample], [])
				self.assertEqual((found.counts.updated, found.counts.unchanged), (0, 40))
				frappe.db.rollback()

	def test_only_what_changes_is_shown_and_of_a_table_only_its_rows(self):
		for mode in ("Documents", "Bulk"):
			with self.subTest(mode=mode):
				name = self.stream(mode)
				changed = self.ids()[3]  # which has three rows
				odd = self.crm.customers._rows[changed]["odd"]
				odd["data"], odd["rows"][1]["int"] = "new", 77
				[one] = dry_run(self.runtime, name).sample
				self.assertEqual((one.action, one.external_id), ("update", changed))
				self.assertEqual(set(one.changes), {"data", "rows"})
				[before], [after] = one.changes["rows"]
				differs = {field for field in after if after[field] != before[field]}
				self.assertEqual((differs, after["int"]), ({"int"}, 77))
				frappe.db.rollback()

	def test_both_ways_of_writing_count_what_a_run_then_does(self):
		for mode in ("Documents", "Bulk"):
			with self.subTest(mode=mode):
				name = self.stream(mode)
				for id in self.ids()[:5]:
					self.crm.customers._rows[id]["odd"]["data"] = "other"
				found = dry_run(self.runtime, name)
				frappe.db.rollback()
				run = run_stream(self.runtime, name)
				frappe.db.commit()
				foretold = [
					getattr(found.counts, count) for count in ("created", "updated", "unchanged", "failed")
				]
				self.assertEqual(foretold, [run[c] for c in ("created", "updated", "unchanged", "failed")])


class TestFailuresAreForetold(DryRunTestCase):
	MAPPING = [
		{"source_path": f"odd.{name}", "field": name}
		for name in ("code", "title", "kind", "mail", "amount", "once", "user")
	]
	BAD = {
		"title": "",
		"kind": "c",
		"mail": "no address",
		"amount": -1,
		"user": "no.such.user@example.com",
		"code": "x" * 141,
	}  # a value a record

	def stream(self, mode: str, **settings) -> str:
		name = f"needy-{mode}"
		make_stream(name, self.MAPPING, target_doctype=NEEDY, write_mode=mode, **settings)
		return name

	def foretold(self, stream: str) -> dict[str, str]:
		found = dry_run(self.runtime, stream, sample=100)
		frappe.db.rollback()
		frappe.set_user("Administrator")
		return {one.external_id: one.error for one in found.sample if one.action == "fail"}

	def then_fails(self, stream: str) -> set[str]:
		run_stream(self.runtime, stream)
		frappe.db.commit()
		filters = {"stream": stream, "status": "Failed"}
		return set(frappe.get_all("External Record", filters, pluck="external_id"))

	def test_what_is_created_fails_as_foretold(self):
		for mode in ("Documents", "Bulk"):
			with self.subTest(mode=mode):
				ids = self.ids()
				for number, name in enumerate(ids):
					self.give(name, code=f"{mode}{number}", title="T", kind="a", once="1")
				for name, (field, value) in zip(ids, self.BAD.items(), strict=False):
					self.crm.customers._rows[name]["odd"][field] = value
				self.crm.customers._rows[ids[10]]["odd"]["code"] = (
					f"{mode}11"  # as another one of the page has
				)
				stream = self.stream(mode)
				found = self.foretold(stream)
				failed = self.then_fails(stream)
				if mode == "Bulk":  # its rows are checked by their types, lengths, options and links alone
					data = {
						name
						for name, field in zip(ids, self.BAD, strict=False)
						if field in ("mail", "amount")
					}
					self.assertFalse(data & failed)
				self.assertEqual(set(found), failed)
				for name, field in zip(ids, self.BAD, strict=False):
					if name in failed:
						self.assertTrue(found[name].startswith(f"{field}: "), found[name])

	def test_what_is_updated_fails_as_foretold(self):
		ids = self.ids()
		for number, name in enumerate(ids):
			self.give(name, code=str(number), title="T", kind="a", once="1")
		stream = self.stream("Documents")
		self.assertEqual(self.then_fails(stream), set())
		bad = {**self.BAD, "once": "2"}
		for name, (field, value) in zip(ids, bad.items(), strict=False):
			self.crm.customers._rows[name]["odd"][field] = value
		self.crm.customers._rows[ids[10]]["odd"]["code"] = "20"
		found = self.foretold(stream)
		self.assertEqual(set(found), self.then_fails(stream))
		self.assertEqual(len(found), len(bad) + 1 - (frappe.db.db_type == "sqlite"), "SQLite has no lengths")

	def test_who_may_not_write_is_foretold_to_fail(self):
		for name in self.ids():
			self.give(name, code=name, title="T")
		for role in (ROLE,):
			if not frappe.db.exists("Role", role):
				frappe.get_doc({"doctype": "Role", "role_name": role}).insert()
		if not frappe.db.exists("User", WRITER):
			user = {"doctype": "User", "email": WRITER, "first_name": "Dry", "send_welcome_email": 0}
			frappe.get_doc({**user, "roles": [{"role": ROLE}]}).insert()
		add_permission(NEEDY, ROLE, 0)
		update_permission_property(NEEDY, ROLE, 0, "write", 1)
		self.addCleanup(reset_perms, NEEDY)
		stream = self.stream("Documents")
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", WRITER)
		frappe.db.commit()
		found = self.foretold(stream)
		self.assertEqual(len(found), 40, "WRITER may write, and not create")
		self.assertIn("may not create", found[self.ids()[0]])
		# On screen too, where a person who may do it all looks.
		shown = [one for one in api.dry_run(stream)["sample"] if one["action"] == "fail"]
		self.assertIn("may not create", shown[0]["error"])

	def test_code_of_a_doctype_is_said_not_to_be_known(self):
		for name in self.ids():
			self.give(name, code=name, title="")
		script = {
			"doctype": "Server Script",
			"name": "Hub Dry Script",
			"script_type": "DocType Event",
			"reference_doctype": NEEDY,
			"doctype_event": "Before Insert",
			"script": "doc.title = 'filled'",
		}
		frappe.get_doc(script).insert()
		frappe.db.commit()
		self.addCleanup(self.forget_script)
		found = dry_run(self.runtime, self.stream("Documents"))
		frappe.db.rollback()
		self.assertEqual((found.counts.created, found.counts.failed), (40, 0))
		self.assertIn("title", found.sample[0].doubt)
		self.assertTrue(any("runs only when a document is saved" in str(note) for note in found.notes))

	def forget_script(self) -> None:
		frappe.delete_doc("Server Script", "Hub Dry Script", force=True)
		frappe.db.commit()

	def test_a_looked_at_document_is_left_as_it_is(self):
		for name in self.ids():
			self.give(name, code=name, title="T")
		stream = self.stream("Documents")
		self.then_fails(stream)
		before = frappe.get_all(NEEDY, fields=["*"], order_by="name")
		for name in self.ids():
			self.give(name, code=name, title="U")
		dry_run(self.runtime, stream)
		frappe.db.commit()
		self.assertEqual(frappe.get_all(NEEDY, fields=["*"], order_by="name"), before)
