"""A dry run foretells which deletions links, permissions and submission prevent, and counts as the run then does."""

from typing import ClassVar

import frappe

from integration_hub import api
from integration_hub.sync.dry_runs import dry_run
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, drop_doctypes
from integration_hub.tests.test_writing_on_site import make_doctype

LINKER, ROW, LOOSE = "Hub Test Linker", "Hub Test Linker Row", "Hub Test Loose Linker"
TARGETS = {"customers-full": "Sandbox Customer", "customers-incremental": "Sandbox Customer Change"}


def linked_fields() -> list[dict]:
	places = {"customer": "Sandbox Customer", "change": "Sandbox Customer Change"}
	return [
		{"fieldname": field, "label": field.title(), "fieldtype": "Link", "options": doctype}
		for field, doctype in places.items()
	]


class TestForetoldDeletions(HubTestCase):
	write_mode: ClassVar[str] = "Documents"
	stream: ClassVar[str] = "customers-full"

	@classmethod
	def tearDownClass(cls) -> None:
		drop_doctypes(LOOSE, LINKER, ROW)
		super().tearDownClass()

	def setUp(self) -> None:
		super().setUp()
		make_doctype(ROW, linked_fields(), istable=1)
		table = {"fieldname": "rows", "label": "Rows", "fieldtype": "Table", "options": ROW}
		make_doctype(LINKER, [*linked_fields(), table])
		kind = {"fieldname": "kind", "label": "Kind", "fieldtype": "Link", "options": "DocType"}
		one = {"fieldname": "one", "label": "One", "fieldtype": "Dynamic Link", "options": "kind"}
		make_doctype(LOOSE, [kind, one])
		frappe.flags.link_fields = None  # other tests of this process had Frappe look before these were there
		self.addCleanup(self.forget_links)
		run_stream(self.runtime, self.stream)
		self.gone = self.crm.customers.delete(4)
		found = {"customer_id": ["in", self.gone]}
		names = frappe.get_all(TARGETS[self.stream], found, ["name", "customer_id"])
		self.names = {row.customer_id: row.name for row in names}

	def forget_links(self) -> None:
		for doctype in (LINKER, ROW, LOOSE):
			frappe.db.delete(doctype)
		frappe.db.commit()

	@property
	def field(self) -> str:
		return "customer" if self.stream == "customers-full" else "change"

	def link(self, external_id: str, table: bool = False) -> str:
		value = {self.field: self.names[external_id]}
		doc = frappe.get_doc({"doctype": LINKER, **({"rows": [value]} if table else value)}).insert()
		frappe.db.commit()
		return doc.name

	def foretold(self) -> dict[str, str]:
		"""Return why records would fail, and assert that the run then does as foretold."""
		found = dry_run(self.runtime, self.stream)
		frappe.db.rollback()
		row = run_stream(self.runtime, self.stream)
		counted = (found.counts.deleted + found.orphans, found.counts.failed)
		self.assertEqual(counted, (row["deleted"], row["failed"]))
		return {one.external_id: one.error for one in found.sample if one.action == "fail"}

	def test_nothing_is_in_the_way(self):
		found = dry_run(self.runtime, self.stream)
		self.assertEqual({one.external_id for one in found.sample if one.action == "delete"}, set(self.gone))
		self.assertEqual(self.foretold(), {})

	def test_what_is_linked_stays(self):
		first, second = self.gone[:2]
		linker, parent = self.link(first), self.link(second, table=True)
		found = self.foretold()
		self.assertEqual(set(found), {first, second})
		self.assertIn(f"is linked with {LINKER} {linker}", found[first])
		self.assertIn(f"is linked with {LINKER} {parent}", found[second], "not a row of a table")

	def test_a_person_learns_of_no_document_that_they_may_not_read(self):
		self.link(self.gone[0])
		if not frappe.db.exists("User", "hub-foretold@example.com"):
			roles = [{"role": "Integration Manager"}]
			user = {"doctype": "User", "email": "hub-foretold@example.com", "first_name": "F", "roles": roles}
			frappe.get_doc({**user, "send_welcome_email": 0}).insert(ignore_permissions=True)
		for doctype in TARGETS.values():
			frappe.permissions.add_permission(doctype, "Integration Manager")
		frappe.db.commit()
		frappe.set_user("hub-foretold@example.com")
		try:
			shown = [one for one in api.dry_run(self.stream)["sample"] if one["action"] == "fail"]
		finally:
			frappe.set_user("Administrator")
			for doctype in TARGETS.values():
				frappe.permissions.reset_perms(doctype)
			frappe.db.commit()
		self.assertEqual([one["error"] for one in shown], ["Other documents link to it."])


class TestForetoldBySource(TestForetoldDeletions):
	"""The source says itself what was deleted."""

	stream = "customers-incremental"


class TestForetoldInBulk(TestForetoldDeletions):
	write_mode = "Bulk"


class TestForetoldOfDynamicLinks(TestForetoldDeletions):
	def test_what_is_linked_stays(self):
		value = {"kind": TARGETS[self.stream], "one": self.names[self.gone[0]]}
		frappe.get_doc({"doctype": LOOSE, **value}).insert()
		frappe.db.commit()
		frappe.cache.delete_value("dynamic_link_map")
		frappe.flags.dynamic_link_map = None
		self.assertEqual(set(self.foretold()), {self.gone[0]})
