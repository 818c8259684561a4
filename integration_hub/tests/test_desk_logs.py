"""What an operator does from the logs, and what a document says of where it came from."""

import json
from unittest.mock import patch

import frappe
from frappe.desk.form.load import getdoc

from integration_hub import api
from integration_hub.stores import inbox
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, errors
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.events import load_routes, read_event


class TestDeskLogs(HubTestCase):
	def put(self, **payload) -> str:
		"""Put an event into the inbox; return its name."""
		body = json.dumps(payload).encode()
		config, routes = self.runtime.integration("crm"), load_routes(self.runtime, "crm")
		event = read_event(config, body, payload, routes, "HTTP")
		self.assertEqual(inbox.store(self.runtime, [event]), ["received"])
		return frappe.db.get_value("Webhook Log", {"event_id": payload["id"]})

	def handle(self, **payload) -> str:
		name = self.put(**payload)
		drain(self.runtime, "crm")
		frappe.db.commit()
		return name

	def customer(self, number: int = 0, **changes) -> dict:
		return {**self.crm.customers.alive()[number], **changes}

	def contacts(self) -> str:
		"""Make a stream that writes Contacts; return its name."""
		doc = frappe.copy_doc(frappe.get_doc("Sync Settings", "customers-full"))
		doc.update({"stream_name": "contacts", "target_doctype": "Contact", "deletion_policy": "Keep"})
		doc.mapping = []
		doc.append("mapping", {"source_path": "name", "field": "first_name"})
		doc.insert()
		frappe.db.commit()
		self.addCleanup(self.remove_contacts)
		return doc.name

	def remove_contacts(self) -> None:
		for name in frappe.get_all("External Record", {"stream": "contacts"}, pluck="target_name"):
			frappe.delete_doc("Contact", name, force=True, ignore_missing=True)
		frappe.db.commit()

	def timeline(self, doctype: str, name: str) -> list[str]:
		"""Return what the form of a document is sent for its timeline, by the user of the session."""
		frappe.local.response = frappe._dict({"docs": []})
		getdoc(doctype, name)
		return [entry["content"] for entry in frappe.local.response.docinfo.additional_timeline_content]

	def test_a_contact_says_where_it_came_from(self):
		run = run_stream(self.runtime, self.contacts())["name"]
		record = frappe.get_last_doc("External Record", {"stream": "contacts"})
		[came] = self.timeline("Contact", record.target_name)
		for part in (record.external_id, "contacts", record.name, run):
			self.assertIn(part, came)

	def test_a_change_by_an_event_and_a_later_run_are_told_as_well(self):
		first = run_stream(self.runtime, "customers-full")["name"]
		record = self.customer(name="Changed", updated_at="2030-01-01T00:00:00Z")
		event = self.handle(id="e1", event="customer.changed", data=record)
		name = frappe.db.get_value("Webhook Log", event, "reference_name")
		self.crm.customers.set(record["id"], name="Changed", updated_at="2030-01-01T00:00:00Z")
		later = run_stream(self.runtime, "customers-full")["name"]
		came, changed, *seen = self.timeline("Sandbox Customer", name)
		self.assertIn(first, came)
		self.assertIn(event, changed)
		self.assertEqual([later in entry for entry in seen], [True])

	def test_a_run_that_is_no_longer_kept_is_not_linked(self):
		run = run_stream(self.runtime, "customers-full")["name"]
		frappe.db.delete("Sync Log", run)
		name = frappe.get_all("External Record", pluck="target_name", limit=1)[0]
		[came] = self.timeline("Sandbox Customer", name)
		self.assertIn("no longer kept", came)
		self.assertNotIn(run, came)

	def test_the_timeline_costs_one_query_and_says_nothing_of_what_is_not_bound(self):
		from integration_hub.integration_hub.provenance import timeline

		timeline("User", "Administrator")  # fills the caches
		asked = []
		sql = frappe.db.sql
		with patch.object(
			frappe.db, "sql", lambda *args, **options: asked.append(args) or sql(*args, **options)
		):
			self.assertEqual(timeline("User", "Administrator"), [])
		self.assertEqual(len(asked), 1)  # (assertQueryCount fails on SQLite)

	def test_what_comes_from_outside_is_escaped_in_the_timeline(self):
		frappe.db.set_value("Sync Settings", "customers-full", "id_path", "city")
		self.crm.customers.set(self.customer()["id"], city="<img src=x>")
		run_stream(self.runtime, "customers-full")
		record = frappe.get_doc("External Record", {"external_id": "<img src=x>", "stream": "customers-full"})
		[came] = self.timeline("Sandbox Customer", record.target_name)
		self.assertNotIn("<img", came)

	def test_who_may_not_read_bindings_sees_no_origin(self):
		run_stream(self.runtime, self.contacts())
		name = frappe.db.get_value("External Record", {"stream": "contacts"}, "target_name")
		user = self.someone("Sales User")
		with self.set_user(user):
			self.assertEqual(self.timeline("Contact", name), [])

	def someone(self, *roles: str) -> str:
		if not frappe.db.exists("User", "someone@example.com"):
			values = {"email": "someone@example.com", "first_name": "Someone", "send_welcome_email": 0}
			frappe.get_doc({"doctype": "User", **values}).insert()
		user = frappe.get_doc("User", "someone@example.com")
		user.set("roles", [])
		user.add_roles(*roles)
		frappe.db.commit()
		return user.name

	def test_the_form_of_a_record_links_to_its_run_and_its_event(self):
		run = run_stream(self.runtime, "customers-full")["name"]
		self.handle(
			id="e1",
			event="customer.changed",
			data=self.customer(city="Lund", updated_at="2030-01-01T00:00:00Z"),
		)
		record = frappe.get_doc(
			"External Record", {"external_id": self.customer()["id"], "stream": "customers-full"}
		)
		self.assertEqual(record.made_by, run)
		record.run_method("onload")
		self.assertEqual(record.get_onload("origins"), {"made_by": "Sync Log", "changed_by": "Webhook Log"})

	def test_a_dry_run_replay_names_fields_by_their_labels_and_changes_nothing(self):
		run_stream(self.runtime, "customers-full")
		record = self.customer(city="Lund", updated_at="2030-01-01T00:00:00Z")
		before = self.customer()["city"]
		event = self.put(id="e1", event="customer.changed", data=record)
		[effect] = api.preview_replay([event])
		self.assertEqual((effect["action"], effect["changes"]), ("Update", {"city": (before, "Lund")}))
		self.assertEqual(effect["labels"], {"city": frappe.get_meta("Sandbox Customer").get_label("city")})
		frappe.db.commit()
		self.assertEqual(frappe.db.get_value("Sandbox Customer", effect["document"], "city"), before)
		self.assertEqual(frappe.db.get_value("Webhook Log", event, "status"), "Queued")

	def test_each_way_a_replay_may_end_is_told(self):
		run_stream(self.runtime, "customers-full")
		bad = self.handle(
			id="bad",
			event="customer.changed",
			data=self.customer(credit_limit="a lot", updated_at="2030-01-01T00:00:00Z"),
		)
		unrouted = self.put(id="other", event="order.created")
		gone = self.put(id="gone", event="customer.deleted", data=self.customer(1))
		actions = {effect["event"]: effect["action"] for effect in api.preview_replay([bad, unrouted, gone])}
		self.assertEqual(actions, {bad: "Fail", unrouted: "Nothing", gone: "Delete"})

	def test_at_most_twenty_are_looked_at(self):
		names = [self.put(id=f"e{n}", event="order.created") for n in range(21)]
		self.assertEqual(len(api.preview_replay(names[:20])), 20)
		self.assertRaises(frappe.ValidationError, api.preview_replay, names)

	def test_many_failures_are_resolved_and_reopened_in_one_call(self):
		names = [
			self.runtime.log_error(ValueError(kind), integration="crm", operation="Test")
			for kind in ("one", "two", "three")
		]
		frappe.db.commit()
		self.assertEqual(api.resolve_failures(json.dumps(names)), 3)
		self.assertEqual({error.status for error in errors()}, {"Resolved"})
		self.assertEqual(api.reopen_failures(names[:1]), 1)
		self.assertEqual(sorted(error.status for error in errors()), ["Open", "Resolved", "Resolved"])

	def test_a_failure_of_events_is_retried_with_all_it_keeps_back(self):
		late = {"updated_at": "2030-01-01T00:00:00Z", "credit_limit": "a lot"}
		events = [
			self.handle(id=f"e{n}", event="customer.changed", data=self.customer(n, **late)) for n in (0, 1)
		]
		fine = self.handle(id="fine", event="customer.changed", data=self.customer(2))
		found = errors()
		self.assertEqual(len({error.name for error in found}), len(found))
		done = api.retry_failures([error.name for error in found])
		self.assertEqual((done["events"], done["nothing"]), (2, []))
		states = {name: frappe.db.get_value("Webhook Log", name, "status") for name in (*events, fine)}
		self.assertEqual(states, {events[0]: "Queued", events[1]: "Queued", fine: "Completed"})

	def test_a_failure_of_records_has_those_records_tried_again(self):
		self.crm.customers.set("CUST-000003", credit_limit="a lot")
		run_stream(self.runtime, "customers-incremental")
		[error] = errors()
		frappe.db.set_single_value("System Settings", "enable_scheduler", 0)
		self.addCleanup(frappe.db.set_single_value, "System Settings", "enable_scheduler", 1)
		done = api.retry_failures([error.name])
		self.assertEqual((done["streams"], done["records"]), ([], ["customers-incremental"]))
		self.assertIn("enable-scheduler", " ".join(done["warnings"]))
		record = frappe.db.get_value("External Record", {"status": "Failed"})
		done = api.retry_record(record)
		self.assertEqual(done["stream"], "customers-incremental")
		self.assertIn("enable-scheduler", " ".join(done["warnings"]))
		self.assertEqual(frappe.db.get_value("Sync Settings", "customers-incremental", "wanted"), 1)

	def test_a_failure_with_nothing_to_try_again_says_so(self):
		name = self.runtime.log_error(ValueError("x"), integration="crm", operation="Queue")
		frappe.db.commit()
		done = api.retry_failures([name])
		self.assertEqual(done, {"events": 0, "streams": [], "records": [], "nothing": [name], "warnings": []})

	def test_a_backfill_or_a_removal_that_failed_is_not_retried_by_a_run(self):
		for operation in ("Backfill", "Delete"):
			name = self.runtime.log_error(
				ValueError(operation), integration="crm", operation=operation, stream="customers-full"
			)
			frappe.db.commit()
			self.assertEqual(api.retry_failures([name])["nothing"], [name])
		self.assertFalse(frappe.db.get_value("Sync Settings", "customers-full", "wanted"))

	def test_who_approves_a_deletion_sees_what_would_go(self):
		for field, value in (("max_delete_count", 5), ("max_delete_percent", 2)):
			frappe.db.set_value("Sync Settings", "customers-full", field, value)
		run_stream(self.runtime, "customers-full")
		gone = self.customer()["id"]
		name = frappe.db.get_value(
			"External Record", {"external_id": gone, "stream": "customers-full"}, "target_name"
		)
		self.crm.customers.delete(40)
		run = run_stream(self.runtime, "customers-full")
		held = api.held_documents(run["name"])
		missing = {row["id"] for row in self.crm.customers.alive()}
		self.assertEqual((held["total"], held["policy"], len(held["documents"])), (40, "Delete", 40))
		self.assertTrue(all(doc.external_id not in missing for doc in held["documents"]))
		self.assertEqual(gone not in missing, name in [doc.target_name for doc in held["documents"]])
		self.assertEqual(len(api.held_documents(run["name"], 30)["documents"]), 10)
		self.assertEqual(held["go"], 40)
		frappe.db.set_value("External Record", held["documents"][0].name, "adopted", 1)
		for policy, going in (("Delete", 39), ("Disable", 40), ("Keep", 0)):
			frappe.db.set_value("Sync Settings", "customers-full", "deletion_policy", policy)
			self.assertEqual(api.held_documents(run["name"])["go"], going, policy)

	def test_the_charts_count_what_came_and_what_was_written(self):
		self.assertEqual(api.records_a_day(refresh=1), {}, "shown as no data")
		run_stream(self.runtime, "customers-full")
		self.handle(id="e1", event="customer.changed", data=self.customer())
		self.put(id="e2", event="order.created")
		events = {series["name"]: series["values"][-1] for series in api.events_a_day()["datasets"]}
		self.assertEqual((events["Completed"], events["Unrouted"], events["Dead"]), (1, 1, 0))
		records = {
			series["name"]: series["values"][-1] for series in api.records_a_day(refresh=1)["datasets"]
		}
		self.assertEqual({name: count for name, count in records.items() if count}, {"customers-full": 120})

	def test_a_conflict_is_handled_as_a_new_event_and_tells_who_had_it_done(self):
		first = self.put(id="e1", event="customer.changed", data=self.customer(city="Lund"))
		config, routes = self.runtime.integration("crm"), load_routes(self.runtime, "crm")
		late = {"updated_at": "2030-01-01T00:00:00Z"}
		payload = {"id": "e1", "event": "customer.changed", "data": self.customer(city="Malmö", **late)}
		event = read_event(config, json.dumps(payload).encode(), payload, routes, "HTTP")
		self.assertEqual(inbox.store(self.runtime, [event]), ["conflict"])
		name = frappe.db.get_value("Webhook Log", {"status": "Conflict"})
		self.assertEqual(api.replay_events([name]), 0, "not by the way")
		self.assertEqual(api.handle_conflict(name), 1)
		drain(self.runtime, "crm")
		frappe.db.commit()
		states = {row: frappe.db.get_value("Webhook Log", row, "status") for row in (first, name)}
		self.assertEqual(set(states.values()), {"Completed"})
		document = frappe.db.get_value("Webhook Log", name, "reference_name")
		self.assertEqual(frappe.db.get_value("Sandbox Customer", document, "city"), "Malmö")
		comment = frappe.get_last_doc("Comment", {"reference_doctype": "Webhook Log", "reference_name": name})
		self.assertEqual((comment.comment_type, comment.owner), ("Info", "Administrator"))
		self.assertRaises(frappe.ValidationError, api.handle_conflict, name)
