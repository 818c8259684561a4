"""Attacks by a manager through streams of their own: at others' streams, at documents out of sight, at stored secrets.

Shown elsewhere: what a dry run tells by match fields and links in test_desk_forms, what runs and previews keep of secrets
that a source sends back in tests/test_redacting_client.py, in every expression of the settings in tests/test_echoes.py.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import frappe
from frappe.custom.doctype.custom_field.custom_field import create_custom_field
from frappe.utils.password import get_decrypted_password

from integration_hub import api
from integration_hub.stores.runtime import HubError
from integration_hub.sync.run import run_stream
from integration_hub.tests.test_red_team_on_site import MANAGER, SETTINGS, STREAM, RedTeam

MINE = "resource/Integration Settings/mine"
OTHERS_NAMES = ("CUSTOMERS-FULL", "Customers-full", "customers-full ", "cüstomers-full")


class TestOthersStreams(RedTeam):
	def routes(self, action: str) -> dict[str, Any]:
		row = {"event_pattern": "*", "action": action, "stream": "customers-full"}
		return {"routes": [row, *self.kept_routes()]}

	def kept_routes(self) -> list[dict[str, Any]]:
		rows = frappe.get_all("Webhook Route", filters={"parent": "mine"}, fields=["*"], order_by="idx")
		return [
			{"event_pattern": row.event_pattern, "action": row.action, "stream": row.stream} for row in rows
		]

	def allow_only(self, allow: str, name: str) -> None:
		"""Hide all documents of a DocType from the manager but one."""
		values = {"doctype": "User Permission", "user": MANAGER, "allow": allow, "for_value": name}
		permission = frappe.get_doc(values).insert()
		self.addCleanup(frappe.db.commit)
		self.addCleanup(permission.delete)
		frappe.db.commit()

	def test_no_route_says_what_is_written_through_a_stream_of_another(self):
		"""An event of one's own would say in its bindings what is newer than what its source has, and what is gone."""
		for action in ("Upsert Record", "Delete Record"):
			answer = self.mine.call("PUT", MINE, **self.routes(action))
			self.assertFalse(self.has_changed(), f"{action}: {answer.text[:300]}")
			self.assertIn("writes as", answer.text)
		self.assertEqual(self.mine.call("PUT", MINE, **self.routes("Start Sync")).status_code, 200)
		self.assertTrue(self.has_changed())

	def test_no_route_starts_a_stream_that_is_out_of_reach(self):
		self.allow_only(SETTINGS, "mine")
		for action in ("Start Sync", "Upsert Record"):
			answer = self.mine.call("PUT", MINE, **self.routes(action))
			self.assertFalse(self.has_changed(), f"{action}: {answer.text[:300]}")
			self.assertIn("you may not write", answer.text)

	def test_other_letters_of_a_name_are_no_other_stream(self):
		"""MariaDB finds a stream by them: with a lock and bindings of that name, each record would be made twice."""
		for name in OTHERS_NAMES:
			with self.subTest(name), self.assertRaises(HubError):
				run_stream(self.runtime, name)
			for endpoint in ("sync_now", "preview", "dry_run"):
				answer = self.manager.method(f"integration_hub.api.{endpoint}", stream=name)
				self.assertGreaterEqual(answer.status_code, 400, f"{endpoint} {name!r}: {answer.text[:300]}")
		self.assertFalse(frappe.db.count("Sync Log"))

	def test_a_link_by_another_stream_names_no_document_out_of_sight(self):
		"""The bindings of a stream know documents that the person who looks may not read."""
		run_stream(self.runtime, "customers-full")
		names = dict(frappe.get_all("External Record", fields=["external_id", "target_name"], as_list=True))
		seen, hidden = (row["id"] for row in self.crm.customers.alive()[:2])
		df = {
			"fieldname": "referrer",
			"fieldtype": "Link",
			"options": "Sandbox Customer",
			"label": "Referrer",
		}
		create_custom_field("Sandbox Customer", df)
		self.addCleanup(frappe.db.commit)
		self.addCleanup(frappe.delete_doc, "Custom Field", "Sandbox Customer-referrer", force=True)
		stream = frappe.get_doc(STREAM, "mine-full")
		row = {
			"source_path": "id",
			"field": "referrer",
			"conversion": "Link",
			"argument": "stream:customers-full",
		}
		stream.append("mapping", row)
		stream.save()
		mine = frappe.get_doc(SETTINGS, "mine")
		mine.update({"client_secret": get_decrypted_password(SETTINGS, "crm", "client_secret")}).save()
		self.allow_only("Sandbox Customer", names[seen])
		frappe.set_user(MANAGER)
		self.addCleanup(frappe.set_user, "Administrator")
		shown = {one["external_id"]: one for one in api.preview("mine-full")}
		self.assertEqual(shown[seen]["values"]["referrer"], names[seen])
		self.assertNotIn(names[hidden], str(shown[hidden]))
		found = {one["external_id"]: one for one in api.dry_run("mine-full")["sample"]}
		self.assertNotIn(names[hidden], str(found.get(hidden)))

	def test_no_link_by_a_stream_that_is_out_of_reach(self):
		self.allow_only(SETTINGS, "mine")
		row = {
			"source_path": "id",
			"field": "city",
			"conversion": "Link",
			"argument": "stream:customers-full",
		}
		answer = self.mine.call("PUT", "resource/Sync Settings/mine-full", mapping=[row])
		self.assertFalse(self.has_changed(), answer.text[:300])

	def test_a_manager_reads_no_list_of_the_sites_own_redis(self):
		"""What is taken from a list is gone from it, whosever it was."""
		queue = {"queue_enabled": 1, "queue_kind": "List", "queue_name": "rq:queue:default"}
		with patch.dict(frappe.conf, external_redis_url=frappe.conf.redis_queue):
			doc = frappe.get_doc(SETTINGS, "mine").update(queue)
			frappe.set_user(MANAGER)
			self.addCleanup(frappe.set_user, "Administrator")
			with self.assertRaisesRegex(frappe.PermissionError, "external_redis_url"):
				doc.save()
			doc = frappe.get_doc(SETTINGS, "mine").update(
				{**queue, "queue_url": "redis://queue.example.com/0"}
			)
			doc.save()
		frappe.db.rollback()
