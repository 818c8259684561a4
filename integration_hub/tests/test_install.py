"""What installing the app puts on a site."""

import unittest
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import frappe
from frappe.desk.desktop import get_desktop_page

from integration_hub.install import ROLES
from integration_hub.patches.v0_1 import let_the_onboarding_end
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.indexes import indexed
from integration_hub.stores.database import insert
from integration_hub.stores.doctype_tables import INDEXES, columns, doctypes, index_name
from integration_hub.tests.support import IntegrationTestCase


def has_index(doctype: str, fields: Sequence[str]) -> bool:
	if frappe.db.db_type == "sqlite":  # by what it is over: names are shared by all tables there
		return tuple(fields) in {found.fields for found in indexed(f"tab{doctype}")}
	return bool(frappe.db.has_index(f"tab{doctype}", index_name(fields)))


class TestInstall(IntegrationTestCase):
	def test_v16_has_its_sidebar_and_its_icon(self):
		if not frappe.get_meta("Desktop Icon").has_field("link_to"):
			self.skipTest("v15 has neither")
		items = frappe.get_doc("Workspace Sidebar", "Integration Hub").items
		links = [(item.link_type, item.link_to) for item in items if item.type == "Link"]
		self.assertEqual(links[0], ("Workspace", "Integration Hub"))
		self.assertEqual([link for link in links if not frappe.db.exists(*link)], [])
		icon = frappe.db.get_value("Desktop Icon", "Integration Hub", ["app", "link_to", "hidden"])
		self.assertEqual(icon, ("integration_hub", "Integration Hub", 0))

	def test_roles_have_desk_access(self):
		for role in ROLES:
			self.assertEqual(frappe.db.get_value("Role", role, "desk_access"), 1)

	def test_the_scheduler_knows_the_jobs(self):
		methods = frappe.get_all("Scheduled Job Type", pluck="method", filters={"stopped": 0})
		jobs = ("sync_due_streams", "sweep_webhook_inbox", "drain_external_queues", "watch_for_problems")
		for name in jobs:
			self.assertIn(f"integration_hub.jobs.{name}", methods)

	def test_the_workspace_is_there(self):
		self.assertTrue(frappe.db.exists("Workspace", "Integration Hub"))

	def test_the_workspace_opens_once_the_onboarding_is_done(self):
		"""Frappe saves it then, each time anybody opens the workspace, until that succeeds."""
		frappe.db.set_value("Module Onboarding", "Integration Hub", "documentation_url", "")
		let_the_onboarding_end.execute()  # a site that was made before
		steps = frappe.get_all("Onboarding Step", {"name": ["like", "Integration Hub %"]}, pluck="name")
		self.assertTrue(steps)
		for number, step in enumerate(steps):
			frappe.db.set_value("Onboarding Step", step, "is_skipped" if number % 2 else "is_complete", 1)
		frappe.db.set_value("Module Onboarding", "Integration Hub", "is_complete", 0)
		frappe.clear_cache()
		page = {"name": "Integration Hub", "title": "Integration Hub", "public": 1}
		with patch.dict(frappe.local.conf, developer_mode=0):  # else it writes into the app's folder
			found = get_desktop_page(frappe.as_json(page))
		self.assertTrue(found["cards"]["items"])
		self.assertFalse(found["onboardings"]["items"])

	def test_all_the_workspace_shows_is_there(self):
		"""A block whose card or chart is missing, or called otherwise, is not shown, and nobody is told."""
		workspace = frappe.get_doc("Workspace", "Integration Hub")
		shown: dict[str, list[str]] = {}
		for block in frappe.parse_json(workspace.content):
			named = [value for key, value in block["data"].items() if key.endswith("_name")]
			shown.setdefault(block["type"], []).extend(named)
		self.assertEqual(shown["number_card"], [row.label for row in workspace.number_cards])
		self.assertEqual(shown["chart"], [row.label for row in workspace.charts])
		self.assertEqual(shown["shortcut"], [row.label for row in workspace.shortcuts])
		for row in workspace.number_cards:
			card = frappe.get_doc("Number Card", row.number_card_name)
			frappe.get_list(card.document_type, filters=frappe.parse_json(card.filters_json), limit=1)
		for row in workspace.charts:
			chart = frappe.get_doc("Dashboard Chart", row.chart_name)
			self.assertTrue(
				chart.chart_type == "Group By" or frappe.db.exists("Dashboard Chart Source", chart.source)
			)

	def test_managers_are_told_unless_somebody_switches_it_off(self):
		found = frappe.get_all("Notification", {"module": "Integration Hub"}, pluck="name")
		self.assertEqual(len(found), 5)
		for name in found:
			roles = [row.receiver_by_role for row in frappe.get_doc("Notification", name).recipients]
			self.assertEqual(roles, ["Integration Manager"], name)

	def test_logs_have_a_retention(self):
		kept = {row.ref_doctype: row.days for row in frappe.get_doc("Log Settings").logs_to_clear}
		self.assertEqual((kept["Webhook Log"], kept["Sync Log"], kept["Integration Error Log"]), (30, 30, 90))

	def test_both_runtimes_have_the_same_columns(self):
		for name, doctype in doctypes().items():
			missing = set(columns(doctype)) - set(frappe.db.get_table_columns(name))
			self.assertEqual(missing, set(), name)

	def test_composite_indexes_exist(self):
		for doctype, groups in INDEXES.items():
			for fields in groups:
				self.assertTrue(has_index(doctype, fields), f"{doctype} {fields}")

	@unittest.skipUnless(frappe.conf.db_type == "sqlite", "only there Frappe makes tables again")
	def test_a_changed_column_leaves_the_keys_of_the_inbox_after_a_migration(self):
		table, new = "tabWebhook Log", "`tabWebhook Log_new`"
		types = {column.name: column.type for column in self.columns_of(table)}
		columns = ", ".join(f"`{name}` {kind}" for name, kind in types.items())
		for sql in (  # what Frappe does
			f"CREATE TABLE {new} ({columns})",
			f"INSERT INTO {new} SELECT * FROM `{table}`",
			f"DROP TABLE `{table}`",
			f"ALTER TABLE {new} RENAME TO `{table}`",
		):
			frappe.db.sql_ddl(sql)
		self.assertFalse(has_index("Webhook Log", ("event_key",)))
		frappe.db.sql_ddl(
			f"CREATE UNIQUE INDEX `somebodys` ON `{table}` (`body_hash`)"
		)  # by a Custom Field, say
		self.addCleanup(frappe.db.sql_ddl, "DROP INDEX `somebodys`")
		for method in frappe.get_hooks("after_migrate", app_name="integration_hub"):
			frappe.get_attr(method)()
		for fields in (("event_key",), ("creation",), ("body_hash",), *INDEXES["Webhook Log"]):
			self.assertTrue(has_index("Webhook Log", fields), fields)
		row = {"event_key": "once", "integration": "crm"}
		insert(FrappeRuntime().db, "Webhook Log", {"name": "one", **row})
		self.assertEqual(frappe.db.get_value("Webhook Log", "one", ["attempts", "deliveries"]), (0, 1))
		self.assertEqual({column.name: column.type for column in self.columns_of(table)}, types)
		self.addCleanup(frappe.db.delete, "Webhook Log", {"event_key": "once"})
		for again in ({"name": "two", **row}, {"name": "one", "event_key": "another"}):
			with self.assertRaises(Exception) as caught:
				insert(FrappeRuntime().db, "Webhook Log", again)
			self.assertTrue(FrappeRuntime().db.is_duplicate(caught.exception))

	def columns_of(self, table: str) -> list:
		return frappe.db.sql(f"PRAGMA table_info(`{table}`)", as_dict=True)

	def test_what_a_patch_is_named_after_is_there(self):
		for line in Path(frappe.get_app_path("integration_hub", "patches.txt")).read_text().splitlines():
			if line and not line.startswith("["):
				self.assertTrue(frappe.get_attr(f"{line}.execute"), line)
