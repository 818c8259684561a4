"""What screens ask of tables that grow without end: nothing that would read all of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch
from zoneinfo import ZoneInfo

import frappe
from frappe.desk.doctype.number_card.number_card import get_result
from frappe.desk.notifications import get_open_count

from integration_hub import api
from integration_hub.stores import inbox
from integration_hub.stores.ids import first_id
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase


@contextmanager
def asked(doctype: str) -> Iterator[list[str]]:
	"""Note what is asked of a DocType's table, with the values put in."""
	said: list[str] = []
	sql = frappe.local.db.sql

	def noted(*args, **kwargs):
		rows = sql(*args, **kwargs)
		query = frappe.local.db._cursor._executed
		query = query.decode() if isinstance(query, bytes) else str(query)
		if f"from `tab{doctype}`".lower() in query.lower():
			said.append(query)
		return rows

	with patch.object(frappe.local.db, "sql", noted):
		yield said


class TestLargeTables(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		if frappe.db.db_type != "mariadb":
			self.skipTest("EXPLAIN is each database's own; the indexes are the same")

	def assertFound(self, queries: list[str], extra: str = "") -> None:
		"""Assert that there is an index to find each query's rows by. extra: what else is said of the plan."""
		self.assertTrue(queries, "nothing was asked")
		for query in queries:
			[plan] = frappe.db.sql(f"EXPLAIN {query}", as_dict=True)
			self.assertTrue(plan.possible_keys, f"{query}: {plan}")
			self.assertIn(extra, plan.Extra or "", f"{query}: {plan}")

	def test_screens_find_the_records_they_show(self):
		run_stream(self.runtime, "customers-full")
		frappe.db.set_value(
			"Sync Settings", "customers-full", {"max_delete_count": 1, "max_delete_percent": 1}
		)
		self.crm.customers.delete(30)
		run = run_stream(self.runtime, "customers-full")["name"]
		frappe.db.commit()
		failed = frappe.get_doc("Number Card", "Hub Failed Records")
		screens = {
			"the card Failed Records": lambda: get_result(failed.as_dict(), failed.filters_json),
			"runs on the form": lambda: api.stream_state("customers-full"),
			"documents that wait": lambda: api.held_documents(run),
			"deletions on the form": lambda: api.held_deletions("customers-full"),
		}
		for screen, look in screens.items():
			with self.subTest(screen):
				with asked("External Record") as queries:
					look()
				self.assertFound(queries)
		self.assertEqual(api.held_documents(run)["total"], 30)

	def test_a_form_of_a_stream_counts_no_records_when_it_opens(self):
		run_stream(self.runtime, "customers-full")
		with asked("External Record") as queries:
			get_open_count("Sync Settings", "customers-full")
		self.assertEqual(queries, [])

	def test_another_target_is_refused_by_what_the_stream_has_bound_alone(self):
		run_stream(self.runtime, "customers-full")
		stream = frappe.get_doc("Sync Settings", "customers-full")
		stream.target_doctype = "Sandbox Customer Incremental"
		with asked("External Record") as queries, self.assertRaisesRegex(frappe.ValidationError, "120"):
			stream.keep_target()
		self.assertFound(queries)

	def test_events_are_counted_without_their_bodies(self):
		event = inbox.Event("crm", "e1", "order.x", "{}", "h", "HTTP", unrouted=True)
		inbox.store(self.runtime, [event])
		frappe.db.commit()
		with asked("Webhook Log") as queries:
			chart = api.events_a_day()
			self.assertEqual(inbox.counts(self.runtime, "crm"), {"Unrouted": 1})
		self.assertEqual(sum(sum(series["values"]) for series in chart["datasets"]), 1)
		self.assertFound(queries, "Using index")

	def test_events_are_not_counted_for_each_look_at_the_workspace(self):
		api.events_a_day()
		with asked("Webhook Log") as queries:
			api.events_a_day()
		self.assertEqual(queries, [])

	def test_what_is_done_with_is_not_counted_by_health(self):
		event = inbox.Event("crm", "e1", "order.x", "{}", "h", "HTTP")
		inbox.store(self.runtime, [event])
		frappe.db.set_value("Webhook Log", {"event_id": "e1"}, "status", "Completed")
		self.assertEqual(inbox.counts(self.runtime, "crm"), {})

	def test_events_are_shown_on_the_day_they_came(self):
		"""A day begins when it does on the site."""
		noon = frappe.utils.now_datetime().replace(hour=0, minute=30)
		for days in (0, 1, 13, 14):
			moment = frappe.utils.add_days(noon, -days)
			zone = ZoneInfo(frappe.utils.get_system_timezone())
			name = f"{first_id(moment.replace(tzinfo=zone).timestamp())}0000000000"
			frappe.get_doc(
				{
					"doctype": "Webhook Log",
					"name": name,
					"integration": "crm",
					"status": "Dead",
					"event_key": name,
				}
			).db_insert()
		[dead] = [series for series in api.events_a_day()["datasets"] if series["name"] == "Dead"]
		self.assertEqual(dead["values"], [1] + [0] * 11 + [1, 1])
