"""Documents with child tables, Bulk with its checks, and what happens to a run on the way."""

import os
import random
import signal
import time
from contextlib import suppress
from itertools import count
from unittest.mock import patch

import frappe

from integration_hub import api
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.documents import DocumentTarget
from integration_hub.stores.bindings import binding_name
from integration_hub.stores.runs import Run
from integration_hub.stores.runtime import Change, Written
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, connection_number, cut, drop_doctypes, errors

RECORDS = int(os.environ.get("HUB_TEST_RECORDS", "120"))  # 20000 shows it in full size
FORKED_KILLS = int(os.environ.get("HUB_TEST_KILLS", "50"))


def make_stream(name: str, mapping: list[dict], **values) -> None:
	doc = frappe.new_doc("Sync Settings")
	doc.update(
		{
			"stream_name": name,
			"integration": "crm",
			"mode": "Full",
			"endpoint": "/v1/customers/page",
			"records_path": "data",
			"pagination": "Page Number",
			"more_path": "has_more",
			"deletion_policy": "Delete",
			"schedule": "Off",
			"mapping": mapping,
			**values,
		}
	)
	doc.insert()
	frappe.db.commit()


def make_doctype(name: str, fields: list[dict], **values) -> None:
	if frappe.db.exists("DocType", name):
		return
	permission = {"role": "System Manager", "read": 1, "write": 1, "create": 1, "delete": 1, "submit": 1}
	if not values.get("is_submittable"):
		permission.pop("submit")
	doc = {"doctype": "DocType", "name": name, "module": "Custom", "custom": 1, "autoname": "hash"}
	frappe.get_doc({**doc, "fields": fields, "permissions": [permission], **values}).insert()
	frappe.db.commit()


class WritingTestCase(HubTestCase):
	"""Takes the DocTypes that its tests made away again, with their tables."""

	@classmethod
	def tearDownClass(cls) -> None:
		drop_doctypes("Hub Test Visit", "Hub Test Order", "Hub Test Mirror")
		super().tearDownClass()


class TestDocuments(WritingTestCase):
	def setUp(self) -> None:
		super().setUp()
		frappe.db.delete("Contact Email")
		frappe.db.delete("Contact")
		frappe.db.commit()
		self.crm.customers.create(RECORDS - 120)
		rows = [
			{"source_path": "name", "field": "first_name", "required": 1},
			{"source_path": "[{address: email}]", "field": "email_ids", "conversion": "Rows"},
			{"source_path": "address", "field": "email_ids.email_id"},
			{"default_value": "1", "field": "email_ids.is_primary", "conversion": "Check"},
			{
				"source_path": "active",
				"field": "status",
				"conversion": "Select Map",
				"argument": "true = Open\nfalse = Passive",
			},
		]
		make_stream("contacts", rows, target_doctype="Contact", page_size=500)

	def assertContacts(self) -> None:
		frappe.db.commit()
		fields = ["name", "first_name", "email_id", "status"]
		rows = frappe.get_all("Contact", fields=fields, limit_page_length=0)
		emails = dict(frappe.get_all("Contact Email", fields=["parent", "email_id"], as_list=True))
		found = sorted((row.first_name, row.email_id, emails[row.name], row.status) for row in rows)
		want = sorted(
			(r["name"], r["email"], r["email"], "Open" if r["active"] else "Passive")
			for r in self.crm.customers.alive()
		)
		self.assertEqual(found, want)
		self.assertEqual(frappe.db.count("Contact Email"), len(want))

	def test_contacts_are_written_with_their_child_rows(self):
		row = run_stream(self.runtime, "contacts")
		self.assertEqual((row["status"], row["created"]), ("Completed", RECORDS), row["error"])
		self.assertContacts()
		self.crm.change(create=5, update=0, delete=7)
		for customer in self.crm.customers.alive()[:10]:
			self.crm.customers.set(customer["id"], email=f"new-{customer['email']}")
		row = run_stream(self.runtime, "contacts")
		self.assertEqual((row["created"], row["updated"], row["deleted"]), (5, 10, 7), row["error"])
		self.assertContacts()

	def test_what_cannot_go_is_reported_one_by_one(self):
		run_stream(self.runtime, "contacts")
		fields = [{"fieldname": "contact", "label": "Contact", "fieldtype": "Link", "options": "Contact"}]
		make_doctype("Hub Test Visit", fields)
		frappe.flags.link_fields = {}  # Frappe keeps which links there are for as long as a process lives
		gone = [self.crm.customers.alive()[n]["id"] for n in (0, 1, 2)]
		linked = {}
		for id in gone[:2]:
			name = frappe.db.get_value("External Record", binding_name("contacts", id), "target_name")
			linked[id] = name
			frappe.get_doc({"doctype": "Hub Test Visit", "contact": name}).insert()
		frappe.db.commit()
		for id in gone:
			self.crm.customers._rows.pop(id)
		row = run_stream(self.runtime, "contacts")
		self.assertEqual((row["status"], row["deleted"], row["failed"]), ("Partial", 1, 2))
		self.assertIn("2 documents could not be deleted", row["error"])
		for id, name in linked.items():
			self.assertTrue(frappe.db.exists("Contact", name))
			said = frappe.db.get_value("External Record", binding_name("contacts", id), "error")
			self.assertIn(name, said)
		self.assertTrue(all(error.operation == "Delete" for error in errors()))
		frappe.db.delete("Hub Test Visit")
		frappe.db.commit()
		self.assertEqual(run_stream(self.runtime, "contacts")["deleted"], 2)
		self.assertContacts()

	def test_a_submitted_document_stays_and_says_so(self):
		fields = [{"fieldname": "title", "label": "Title", "fieldtype": "Data"}]
		make_doctype("Hub Test Order", fields, is_submittable=1)
		frappe.db.delete("Hub Test Order")
		make_stream("orders", [{"source_path": "name", "field": "title"}], target_doctype="Hub Test Order")
		run_stream(self.runtime, "orders")
		id = self.crm.customers.alive()[0]["id"]
		binding = binding_name("orders", id)
		name = frappe.db.get_value("External Record", binding, "target_name")
		frappe.get_doc("Hub Test Order", name).submit()
		frappe.db.commit()
		self.crm.customers._rows.pop(id)
		row = run_stream(self.runtime, "orders")
		self.assertEqual((row["status"], row["deleted"], row["failed"]), ("Partial", 0, 1))
		self.assertTrue(frappe.db.exists("Hub Test Order", name))
		self.assertIn("ubmitted", frappe.db.get_value("External Record", binding, "error"))


class TestBulk(WritingTestCase):
	def setUp(self) -> None:
		super().setUp()
		fields = [
			{"fieldname": "customer_id", "label": "ID", "fieldtype": "Data", "unique": 1},
			{"fieldname": "title", "label": "Title", "fieldtype": "Data", "length": 30, "reqd": 1},
			{"fieldname": "city", "label": "City", "fieldtype": "Select", "options": "Pune\nBonn"},
			{"fieldname": "of", "label": "Of", "fieldtype": "Link", "options": "Sandbox Customer"},
		]
		make_doctype("Hub Test Mirror", fields)
		frappe.db.delete("Hub Test Mirror")
		rows = [
			{"source_path": "id", "field": "customer_id"},
			{"source_path": "name", "field": "title"},
			{"source_path": "city", "field": "city"},
			{
				"source_path": "id",
				"field": "of",
				"conversion": "Link",
				"argument": "stream:customers-full",
			},
		]
		make_stream("mirror", rows, target_doctype="Hub Test Mirror", write_mode="Bulk")

	def test_a_mirror_equals_its_source(self):
		self.crm.customers.create(RECORDS - 120)
		frappe.db.set_value("Sync Settings", "customers-full", {"write_mode": "Bulk", "page_size": 1000})
		frappe.db.commit()
		for change in ({}, {"create": 5, "update": 40, "delete": 7}):
			self.crm.change(**change)
			row = run_stream(self.runtime, "customers-full")
			self.assertEqual(row["status"], "Completed", row["error"])
			self.assertSame("full")

	def test_a_mirror_whose_columns_were_changed_is_still_written(self):
		"""On SQLite, Frappe 16 then loses the primary key of the table."""
		frappe.db.set_value("Sync Settings", "customers-full", "write_mode", "Bulk")
		doctype = frappe.get_doc("DocType", "Sandbox Customer")
		field = next(field for field in doctype.fields if field.fieldname == "city")
		before, field.default = field.default, "Pune"
		doctype.save()
		for change in ({}, {"create": 5, "update": 40, "delete": 7}):
			self.crm.change(**change)
			row = run_stream(self.runtime, "customers-full")
			self.assertEqual(row["status"], "Completed", row["error"])
			self.assertSame("full")
		field.default = before
		doctype.save()

	def test_a_mirror_is_checked_in_bulk_and_bad_rows_stand_alone(self):
		run_stream(self.runtime, "customers-full")
		for row in self.crm.customers._rows.values():
			row["city"] = "Pune"
		self.crm.customers.set("CUST-000001", city="Atlantis")
		self.crm.customers.set("CUST-000002", name="x" * 31)
		self.crm.customers.set("CUST-000003", name="")
		frappe.get_doc({"doctype": "Hub Test Mirror", "customer_id": "CUST-000004", "title": "mine"}).insert()
		frappe.db.commit()
		row = run_stream(self.runtime, "mirror")
		self.assertEqual((row["status"], row["created"], row["failed"]), ("Partial", 116, 4), row["error"])
		said = {
			record.external_id: record.error
			for record in frappe.get_all(
				"External Record",
				filters={"stream": "mirror", "status": "Failed"},
				fields=["external_id", "error"],
			)
		}
		self.assertIn("city: 'Atlantis' is not one of", said["CUST-000001"])
		self.assertIn("title: is 31 characters long", said["CUST-000002"])
		self.assertIn("title: is required", said["CUST-000003"])
		self.assertIn("CUST-000004", said)
		self.assertEqual(
			frappe.db.get_value("Hub Test Mirror", {"customer_id": "CUST-000004"}, "title"), "mine"
		)
		of = frappe.db.get_value("Hub Test Mirror", {"customer_id": "CUST-000009"}, "of")
		self.assertEqual(frappe.db.get_value("Sandbox Customer", of, "customer_id"), "CUST-000009")

	def test_a_connection_that_is_lost_repeats_its_page(self):
		if frappe.db.db_type == "sqlite":
			self.skipTest("a file has no connection to lose")
		frappe.db.set_value("Sync Settings", "customers-full", "page_size", 10)
		frappe.db.commit()
		write, progress, writes, lost = DocumentTarget._write, FrappeRuntime.progress, count(), []

		def lose() -> None:
			lost.append(connection_number())
			with suppress(Exception):
				cut(lost[-1])

		def write_and_lose(target: DocumentTarget, change: Change) -> Written:
			if next(writes) % 17 == 5:  # in the midst of a page, and not again when it is repeated
				lose()
			return write(target, change)

		def progress_and_lose(runtime: FrappeRuntime, run: Run) -> None:
			progress(runtime, run)
			if run.counts.pages % 3 == 1:  # between two pages
				lose()

		with (
			patch.object(DocumentTarget, "_write", write_and_lose),
			patch.object(FrappeRuntime, "progress", progress_and_lose),
		):
			row = run_stream(self.runtime, "customers-full")
		self.assertGreater(len(set(lost)), 8)
		self.assertEqual((row["status"], row["created"]), ("Completed", 120), row["error"])
		self.assertSame("full")

	def test_kills_at_random_instants_lose_and_double_nothing(self):
		chance = random.Random(11)
		self.crm.latency = 0.002
		for kind in ("full", "incremental", "cursor"):
			values = {"page_size": 10, "max_delete_count": 1000}
			frappe.db.set_value("Sync Settings", f"customers-{kind}", values)
		frappe.db.set_value(
			"Sync Settings",
			"customers-full",
			"write_mode",
			"Bulk" if frappe.db.db_type == "sqlite" else "Documents",
		)
		frappe.db.commit()
		for _ in range(FORKED_KILLS):
			child = fork_and_run(("customers-full", "customers-incremental", "customers-cursor"))
			time.sleep(chance.uniform(0.05, 0.8))
			self.crm.change(create=1, update=3, delete=1)
			os.kill(child, signal.SIGKILL)
			os.waitpid(child, 0)
		self.crm.latency = 0
		for kind in ("full", "incremental", "cursor"):
			row = until_it_runs(self.runtime, f"customers-{kind}")
			self.assertEqual(row["status"], "Completed", row["error"])
			self.assertSame(kind)
		ends = {row.status for row in frappe.get_all("Sync Log", fields=["status"])}
		self.assertIn("Interrupted", ends)
		self.assertNotIn("Running", ends)


_inherited: list = []


def fork_and_run(streams: tuple[str, ...]) -> int:
	"""Run streams, over and over, in a process of their own, with connections of its own; return its number."""
	site, sites_path = frappe.local.site, frappe.local.sites_path
	frappe.db.commit()
	child = os.fork()
	if child:
		return child
	try:
		from integration_hub.runtime.frappe import FrappeRuntime

		silence = os.open(os.devnull, os.O_WRONLY)
		os.dup2(silence, 1)
		os.dup2(silence, 2)
		_inherited.append(
			frappe.local.db
		)  # mysqlclient says goodbye to the server when the last reference goes
		frappe.local.db = None  # the parent's connection is not the child's to close
		frappe.init(site=site, sites_path=sites_path, force=True)
		frappe.connect()
		while True:
			for stream in streams:
				run_stream(FrappeRuntime(), stream)
	finally:
		os._exit(1)


def until_it_runs(runtime, stream: str) -> dict:
	"""Run a stream as soon as the lock of a killed process is free: the server has to notice."""
	for _ in range(100):
		try:
			return run_stream(runtime, stream)
		except Exception as error:
			if "running already" not in str(error):
				raise
			time.sleep(0.1)
	raise AssertionError(f"{stream} stays locked")


class TestTrying(HubTestCase):
	def test_preview_and_dry_run_show_and_write_nothing(self):
		[first, *_] = api.preview("customers-full")
		self.assertEqual(first["values"]["customer_id"], "CUST-000001")
		found = api.dry_run("customers-full")
		self.assertEqual((found["counts"]["created"], found["counts"]["updated"]), (120, 0))
		frappe.db.commit()
		self.assertEqual(
			[frappe.db.count(d) for d in ("Sandbox Customer", "Sync Log", "External Record")], [0] * 3
		)
		run_stream(self.runtime, "customers-full")
		self.crm.customers.set("CUST-000005", city="Bonn", credit_limit=12.5)
		[one] = api.dry_run("customers-full")["sample"]
		self.assertEqual((one["action"], one["external_id"]), ("update", "CUST-000005"))
		self.assertEqual(set(one["changes"]), {"city", "credit_limit"})

	def test_a_backfill_is_handed_to_a_worker(self):
		from integration_hub.tests.support import work

		work()
		self.setUp()
		api.backfill("customers-incremental", "2026-01-01", "2026-01-01")
		work()
		[run] = frappe.get_all("Sync Log", fields=["mode", "status", "checkpoint_after", "created"])
		self.assertEqual((run.mode, run.status, run.checkpoint_after), ("Backfill", "Completed", None))
		self.assertGreater(run.created, 0)
		with self.assertRaises(frappe.ValidationError):
			api.backfill("customers-cursor", "2026-01-01")

	def test_who_may_not_write_the_stream_may_not_look_through_it(self):
		frappe.set_user("Guest")
		try:
			for look in (api.preview, api.dry_run):
				with self.assertRaises(frappe.PermissionError):
					look("customers-full")
			with self.assertRaises(frappe.PermissionError):
				api.backfill("customers-full", "2026-01-01")
		finally:
			frappe.set_user("Administrator")
