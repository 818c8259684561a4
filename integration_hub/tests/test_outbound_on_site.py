"""A document's change reaches the external system: saves, db_set, submit, rename, deletion, import; rollbacks send nothing."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import frappe
from frappe.custom.doctype.property_setter.property_setter import make_property_setter
from frappe.model.dynamic_links import get_dynamic_link_map
from frappe.permissions import add_permission, reset_perms
from redis.exceptions import RedisError

from integration_hub import api
from integration_hub.integration_hub.provenance import timeline
from integration_hub.outbound import scan
from integration_hub.outbound.config import load_outbound
from integration_hub.outbound.dispatch import dispatch, sweep
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe import outbox as hooks
from integration_hub.runtime.frappe.outbox_rows import forget_watched
from integration_hub.stores import deliveries, outbox
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, drop_doctypes

PERSON, LINE, ORDER = "Outbound Test Person", "Outbound Test Line", "Outbound Test Order"
STREAM = {
	"doctype": "Sync Settings",
	"direction": "Out",
	"enabled": 1,
	"integration": "crm",
}


def make_doctype(name: str, fields: list[dict[str, Any]], **options: Any) -> None:
	if frappe.db.exists("DocType", name):
		return
	values = {
		"module": "Core",
		"custom": 1,
		"allow_rename": 1,
		"autoname": "prompt",
		"fields": fields,
		**options,
	}
	if not options.get("istable"):
		values["permissions"] = [
			{
				"role": "System Manager",
				**dict.fromkeys(("read", "write", "create", "delete", "submit", "cancel", "amend"), 1),
			}
		]
		if not options.get("is_submittable"):
			values["permissions"][0] |= {"submit": 0, "cancel": 0, "amend": 0}
	frappe.get_doc({"doctype": "DocType", "name": name, **values}).insert()


class TestOutbound(HubTestCase):
	@classmethod
	def setUpClass(cls) -> None:
		super().setUpClass()
		data = [
			{"fieldname": name, "label": name.title(), "fieldtype": "Data"}
			for name in ("full_name", "email", "city")
		]
		make_doctype(PERSON, data)
		make_doctype(
			LINE,
			[
				{"fieldname": "sku", "label": "Sku", "fieldtype": "Data"},
				{"fieldname": "qty", "label": "Qty", "fieldtype": "Float"},
			],
			istable=1,
			autoname="hash",
		)
		make_doctype(
			ORDER,
			[
				{"fieldname": "person", "label": "Person", "fieldtype": "Link", "options": PERSON},
				{"fieldname": "note", "label": "Note", "fieldtype": "Data", "allow_on_submit": 1},
				{"fieldname": "due", "label": "Due", "fieldtype": "Datetime"},
				{"fieldname": "lines", "label": "Lines", "fieldtype": "Table", "options": LINE},
			],
			is_submittable=1,
		)
		frappe.db.commit()

	@classmethod
	def tearDownClass(cls) -> None:
		drop_doctypes(ORDER, LINE, PERSON)
		forget_watched()
		super().tearDownClass()

	def setUp(self) -> None:
		super().setUp()
		for doctype in (PERSON, LINE, ORDER, "Outbound Change", "Delivery Log"):
			frappe.db.delete(doctype)
		frappe.db.commit()
		forget_watched()
		# Workers of other sites share the bench's queue: they would send what a test is about to look at.
		self.waking = patch.object(FrappeRuntime, "enqueue_dispatch")
		self.waking.start()
		self.addCleanup(self.waking.stop)
		self.people = self.crm.receive("people")
		self.orders = self.crm.receive("orders")

	def stream(self, name: str, doctype: str, mapping: dict[str, Any], **values: Any) -> None:
		rows = [
			{"field": field, **(row if isinstance(row, dict) else {"source_path": row})}
			for field, row in mapping.items()
		]
		frappe.get_doc(
			{
				**STREAM,
				"stream_name": name,
				"target_doctype": doctype,
				"endpoint": f"/v1/received/{name}",
				"mapping": rows,
				**values,
			}
		).insert()
		frappe.db.commit()

	def stream_people(self, **values: Any) -> None:
		mapping = {"full_name": "name", "email": "email", "city": "address.city"}
		self.stream("people", PERSON, mapping, **{"out_deletion": "Delete", **values})

	def person(self, name: str, **values: Any) -> Any:
		row = {
			"doctype": PERSON,
			"name": name,
			"full_name": name.title(),
			"email": f"{name}@example.com",
			**values,
		}
		return frappe.get_doc(row).insert()

	def send(self, times: int = 1) -> None:
		frappe.db.commit()
		for _number in range(times):
			frappe.db.sql("UPDATE `tabDelivery Log` SET `next_attempt_at` = %s", [self.runtime.now()])
			frappe.db.commit()
			for integration in sweep(self.runtime):
				dispatch(self.runtime, integration)

	def system(self) -> dict[str, Any]:
		return {one["email"]: one for one in self.people.all().values()}

	def states(self) -> dict[str, list[str]]:
		found: dict[str, list[str]] = {}
		for row in frappe.get_all(
			"Delivery Log", fields=["document", "status", "error"], order_by="creation, name"
		):
			found.setdefault(row.document, []).append(row.status)
		return found

	def test_insert_save_db_set_and_delete(self) -> None:
		self.stream_people()
		ada = self.person("ada")
		self.send()
		self.assertEqual(self.states(), {"ada": ["Delivered"]})
		self.assertEqual(self.system()["ada@example.com"]["name"], "Ada")
		ada.city = "Pune"
		ada.save()
		ada.db_set("city", "Nairobi")
		self.send()
		self.assertEqual(self.system()["ada@example.com"]["address"], {"city": "Nairobi"})
		self.assertEqual(self.people.counts.updated, 1, "two changes in a row are one delivery")
		frappe.delete_doc(PERSON, "ada")
		self.send()
		self.assertEqual(self.system(), {})
		self.assertEqual(outbox.count(self.runtime), 0)

	def test_what_is_rolled_back_sends_nothing_and_no_callback_brings_it_back(self) -> None:
		self.stream_people()
		self.person("ada")
		frappe.db.rollback()
		frappe.db.savepoint("here")
		self.person("grace")
		frappe.db.rollback(save_point="here")
		self.person("linus")
		self.send()
		self.assertEqual(list(self.system()), ["linus@example.com"])

	def test_no_save_calls_the_network_or_fails_because_of_the_hub(self) -> None:
		self.stream_people()
		self.waking.stop()
		called = patch("requests.Session.send", side_effect=AssertionError("a save calls nobody"))
		with called, patch("frappe.enqueue", side_effect=RedisError("away")):
			self.person("ada")
			frappe.db.commit()
		self.waking.start()
		with patch.object(hooks, "append", side_effect=RuntimeError("the table is gone")):
			self.person("grace")
			frappe.db.commit()
		self.assertTrue(frappe.db.exists(PERSON, "grace"))
		self.send()
		self.assertEqual(list(self.system()), ["ada@example.com"])

	def test_a_save_of_another_doctype_notes_nothing(self) -> None:
		self.stream_people()
		frappe.get_doc({"doctype": ORDER, "name": "o1"}).insert()
		frappe.get_doc({"doctype": "ToDo", "description": "x"}).insert()
		self.assertEqual(outbox.count(self.runtime), 0)

	def test_a_rename_keeps_the_record_and_a_merge_removes_one(self) -> None:
		self.stream_people()
		self.person("ada")
		self.person("grace")
		self.send()
		frappe.rename_doc(PERSON, "ada", "lovelace")
		frappe.db.set_value(PERSON, "lovelace", "city", "London")
		self.send()
		self.assertEqual(self.people.counts.created, 2)
		self.assertEqual(self.system()["ada@example.com"]["address"], {"city": "London"})
		frappe.rename_doc(PERSON, "lovelace", "grace", merge=True)
		self.send(2)
		self.assertEqual(list(self.system()), ["grace@example.com"])

	def test_a_rename_keeps_the_record_though_frappe_has_looked_for_links_before(self) -> None:
		self.stream_people()
		frappe.cache.delete_keys("dynamic_link_map")
		get_dynamic_link_map()  # from now on Frappe believes that no record is of a person
		self.person("ada")
		self.send()
		frappe.rename_doc(PERSON, "ada", "lovelace")
		frappe.get_doc(PERSON, "lovelace").update({"city": "London"}).save()
		self.send()
		self.assertEqual((self.people.counts.created, self.people.counts.updated), (1, 1))
		self.assertEqual(self.system()["ada@example.com"]["address"], {"city": "London"})
		self.assertEqual(self.states(), {"lovelace": ["Delivered", "Delivered"]})

	def test_names_that_are_swapped_keep_their_records(self) -> None:
		self.stream_people()
		self.person("ada")
		self.person("grace")
		self.send()
		for old, new in (("ada", "x"), ("grace", "ada"), ("x", "grace")):
			frappe.rename_doc(PERSON, old, new)
		frappe.get_doc(PERSON, "grace").update({"city": "was Ada"}).save()
		self.send(2)
		self.assertEqual(self.system()["ada@example.com"]["address"], {"city": "was Ada"})
		self.assertEqual(len(self.system()), 2)

	def stream_orders(self, **values: Any) -> None:
		mapping = {
			"person": {"source_path": "customer_id", "conversion": "Link", "argument": "stream:people"},
			"note": "note",
			"due": "due",
			"docstatus": {
				"source_path": "state",
				"conversion": "Select Map",
				"argument": "draft = 0\nopen = 1\nvoid = 2",
			},
			"lines": {"source_path": "items", "conversion": "Rows"},
			"lines.sku": "sku",
			"lines.qty": {"source_path": "quantity", "conversion": "Integer"},
		}
		self.stream("orders", ORDER, mapping, **values)

	def test_submit_change_after_submission_and_cancel(self) -> None:
		self.stream_people()
		self.stream_orders(send_create=0, send_update=0)
		self.person("ada")
		order = frappe.get_doc(
			{
				"doctype": ORDER,
				"name": "o1",
				"person": "ada",
				"due": "2026-06-01 12:00:00",
				"lines": [{"sku": "A", "qty": 2}, {"sku": "B", "qty": 1}],
			}
		).insert()
		self.send(3)
		self.assertEqual(self.orders.all(), {}, "drafts are not sent")
		order.submit()
		self.send(3)
		[found] = self.orders.all().values()
		[person] = self.people.all()
		self.assertEqual((found["customer_id"], found["state"]), (person, "open"))
		self.assertEqual(found["items"], [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}])
		self.assertTrue(found["due"].endswith("Z"))
		order.reload()
		order.note = "hurry"
		order.save()
		self.send()
		self.assertEqual(next(iter(self.orders.all().values()))["note"], "hurry")
		order.cancel()
		self.send()
		self.assertEqual(next(iter(self.orders.all().values()))["state"], "void")

	def test_a_linked_document_goes_first_even_if_nobody_saved_it(self) -> None:
		self.person("ada")
		self.stream_people()
		self.stream_orders()
		frappe.get_doc({"doctype": ORDER, "name": "o1", "person": "ada"}).insert()
		self.send(3)
		self.assertEqual(next(iter(self.orders.all().values()))["customer_id"], next(iter(self.people.all())))

	def test_a_row_of_a_child_table_that_is_set_by_itself_sends_its_parent(self) -> None:
		self.stream_people()
		self.stream_orders()
		order = frappe.get_doc({"doctype": ORDER, "name": "o1", "lines": [{"sku": "A", "qty": 2}]}).insert()
		self.send()
		order.lines[0].db_set("qty", 5)
		self.send()
		self.assertEqual(next(iter(self.orders.all().values()))["items"], [{"sku": "A", "quantity": 5}])

	def test_what_a_sync_writes_in_bulk_is_sent_as_well(self) -> None:
		stream = frappe.get_doc("Sync Settings", "customers-full")
		stream.write_mode = "Bulk"
		stream.save()
		mapping = {"customer_name": "name", "email": "email"}
		self.stream("people", "Sandbox Customer", mapping)
		run_stream(self.runtime, "customers-full")
		self.send()
		self.assertEqual(len(self.people.all()), 120)

	def test_what_comes_back_is_written_without_a_hook(self) -> None:
		self.stream_people(write_back="city = id")
		ada = self.person("ada")
		modified = str(ada.modified)
		self.send()
		ada.reload()
		self.assertEqual((ada.city, str(ada.modified)), (next(iter(self.people.all())), modified))
		self.assertEqual(outbox.count(self.runtime), 0)

	def test_settings_that_cannot_send_are_refused(self) -> None:
		for wrong in (
			{"out_filters": "[[1]]"},
			{"out_condition": "a ||"},
			{"update_path": "/people"},
			{"update_path": "/people/{nobody}/{id}"},
			{"mapping": [{"field": "no_such", "source_path": "x"}]},
			{"mapping": [{"field": "email", "source_path": "a b"}]},
			{"write_back": "no_such = id"},
			{"target_doctype": "Webhook Log"},
			{"headers": "Authorization: Bearer x"},
		):
			with self.subTest(wrong), self.assertRaises(frappe.ValidationError):
				mapping = [{"field": "email", "source_path": "email"}]
				frappe.get_doc(
					{
						**STREAM,
						"stream_name": "wrong",
						"target_doctype": PERSON,
						"endpoint": "/x",
						"mapping": mapping,
						**wrong,
					}
				).insert()

	def test_refused_ones_go_again_when_the_mapping_changes(self) -> None:
		self.people.requires = ("phone",)
		self.stream_people()
		self.person("ada")
		self.send()
		self.assertEqual(self.states(), {"ada": ["Rejected"]})
		stream = frappe.get_doc("Sync Settings", "people")
		stream.append("mapping", {"source_path": "phone", "default_value": "none of {email}"})
		stream.save()
		self.send()
		self.assertEqual(self.system()["ada@example.com"]["phone"], "none of ada@example.com")

	def test_a_scan_finds_what_db_set_value_and_sql_have_changed(self) -> None:
		self.stream_people()
		ada = self.person("ada")
		self.person("grace")
		self.send()
		frappe.db.set_value(PERSON, "ada", "city", "Pune")
		frappe.db.sql(f"UPDATE `tab{PERSON}` SET `city` = 'Kyōto' WHERE `name` = 'grace'")
		frappe.db.commit()
		self.assertEqual(outbox.count(self.runtime), 0)
		scan.scan(self.runtime, load_outbound(self.runtime, "people"), str(ada.modified))
		self.send()
		self.assertEqual(self.system()["ada@example.com"]["address"], {"city": "Pune"})
		found = scan.plan(self.runtime, "people")
		self.assertEqual((found.create, found.update, found.delete), (0, 1, 0))
		scan.send_all(self.runtime, "people")
		self.send()
		self.assertEqual(self.system()["grace@example.com"]["address"], {"city": "Kyōto"})

	def test_what_a_data_import_makes_is_sent(self) -> None:
		self.stream_people()
		doc = frappe.get_doc(
			{"doctype": "Data Import", "reference_doctype": PERSON, "import_type": "Insert New Records"}
		)
		doc.insert()
		file = frappe.get_doc(
			{
				"doctype": "File",
				"file_name": "people.csv",
				"attached_to_doctype": "Data Import",
				"attached_to_name": doc.name,
			}
		)
		file.content = "ID,Full_Name,Email\np1,One,one@example.com\np2,Two,two@example.com\n"
		file.insert()
		doc.db_set("import_file", file.file_url)
		doc.reload()
		doc.get_importer().import_data()
		self.send()
		self.assertEqual(len(frappe.get_all(PERSON)), 2)
		self.assertEqual(sorted(self.system()), ["one@example.com", "two@example.com"])

	def test_each_change_is_an_event_with_what_the_document_held_then(self) -> None:
		mapping = {"full_name": "name", "city": "city"}
		hooks_at = "/v1/received/hooks/messages"
		self.stream(
			"hooks", PERSON, mapping, send_as="Event", create_path=hooks_at, event_type="person.{operation}"
		)
		ada = self.person("ada", city="Pune")
		ada.city = "Kyōto"
		ada.save()
		frappe.delete_doc(PERSON, "ada")
		self.person("grace")
		frappe.db.rollback()
		self.send()
		self.assertEqual(self.crm.receive("hooks").messages, [], "all of it was rolled back")
		ada = self.person("ada", city="Pune")
		ada.city = "Kyōto"
		ada.save()
		frappe.delete_doc(PERSON, "ada")
		self.send()
		bodies = [frappe.parse_json(one["body"]) for one in self.crm.receive("hooks").messages]
		self.assertEqual(
			[body["type"] for body in bodies],
			[f"person.{kind}" for kind in ("created", "updated", "deleted")],
		)
		self.assertEqual([body["data"]["city"] for body in bodies], ["Pune", "Kyōto", "Kyōto"])

	def test_the_timeline_of_a_document_has_its_deliveries(self) -> None:
		self.stream_people()
		self.person("ada")
		self.send()
		[name] = deliveries.select(self.runtime, stream="people")
		for enabled in (1, 0):
			frappe.get_doc("Sync Settings", "people").update({"enabled": enabled}).save()
			said = "".join(entry["content"] for entry in timeline(PERSON, "ada"))
			self.assertIn(name, said, "those of a stream that is off are shown as well")
			self.assertIn("This document is", said)
			self.assertNotIn("came from", said, "it was sent")

	def test_deliveries_by_name(self) -> None:
		self.stream_people()
		self.person("ada")
		self.send()
		[name] = deliveries.select(self.runtime, stream="people")
		log = frappe.get_doc("Delivery Log", name)
		log.run_method("onload")
		self.assertEqual(log.get_onload("attempts")[0]["outcome"], "Delivered")

	def someone(self, role: str) -> str:
		"""Make a person with a role, who may read the person Ada and no other; return their name."""
		name = f"outbound-{role.split()[-1].lower()}@example.com"
		if not frappe.db.exists("User", name):
			values = {"email": name, "first_name": role, "send_welcome_email": 0}
			frappe.get_doc({"doctype": "User", **values}).insert()
		frappe.get_doc("User", name).add_roles(role)
		self.addCleanup(frappe.db.commit)
		add_permission(PERSON, role, 0)
		only = {"doctype": "User Permission", "user": name, "allow": PERSON, "for_value": "ada"}
		only = frappe.get_doc(only).insert()
		self.addCleanup(reset_perms, PERSON)
		self.addCleanup(only.delete)
		frappe.db.commit()
		return name

	def test_what_the_run_as_user_may_not_read_is_not_sent(self) -> None:
		self.person("ada")
		user = self.someone("Integration Viewer")
		self.stream_people()
		self.stream(
			"hooks", PERSON, {"email": "email"}, send_as="Event", create_path="/v1/received/hooks/messages"
		)
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", user)
		frappe.clear_document_cache("Integration Settings", "crm")
		frappe.get_doc(PERSON, "ada").update({"city": "Pune"}).save()
		self.person("grace")
		self.send()
		self.assertEqual(self.states(), {"ada": ["Delivered"] * 2, "grace": ["Rejected"] * 2})
		self.assertEqual(list(self.system()), ["ada@example.com"])
		for error in frappe.get_all("Delivery Log", {"document": "grace"}, pluck="error"):
			self.assertIn(f"{user} may not read {PERSON} grace", error)
		hidden = make_property_setter(PERSON, "city", "permlevel", 1, "Int")
		self.addCleanup(frappe.clear_cache, doctype=PERSON)
		self.addCleanup(hidden.delete)
		frappe.clear_cache(doctype=PERSON)
		frappe.get_doc(PERSON, "ada").update({"city": "Oslo"}).save()
		self.send()
		self.assertCountEqual(self.states()["ada"][-2:], ["Rejected", "Delivered"], "events hold no city")
		self.assertEqual(self.system()["ada@example.com"]["address"], {"city": "Pune"})
		with self.assertRaisesRegex(frappe.ValidationError, "city"):
			frappe.get_doc("Sync Settings", "people").save()

	def test_a_plan_shows_only_what_the_person_may_read(self) -> None:
		self.stream_people()
		with patch.object(hooks, "append"):
			self.person("ada")
			self.person("grace")
		user = self.someone("Integration Manager")
		frappe.db.commit()
		with self.set_user(user):
			found = api.plan_sending("people")
		self.assertEqual([one["document"] for one in found["sample"]], ["ada"])
		self.assertIn("may not read", "".join(found["skip"]))

	def test_what_comes_back_is_not_written_where_the_run_as_user_may_not(self) -> None:
		self.person("ada")
		user = self.someone("Integration Viewer")
		self.stream_people(write_back="city = id")
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", user)
		frappe.get_doc(PERSON, "ada").update({"full_name": "Ada L"}).save()
		self.send()
		self.assertEqual(len(self.people.all()), 1)
		self.assertFalse(frappe.db.get_value(PERSON, "ada", "city"))
		self.assertIn("may not write", frappe.get_last_doc("Delivery Log").error)
		with self.assertRaisesRegex(frappe.ValidationError, "may not write"):
			frappe.get_doc("Sync Settings", "people").save()
