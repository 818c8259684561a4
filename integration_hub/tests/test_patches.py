"""What the patches do with rows as the first release left them, on each database. See scripts/test_upgrade.py."""

import hashlib
import json
import time
from dataclasses import replace

import frappe

from integration_hub.connectors.oauth2 import Token
from integration_hub.patches.v0_1 import (
	flag_streams_with_failed_records,
	keep_rotated_tokens,
	key_events_by_type,
	rename_bindings,
	say_conditions_are_python,
)
from integration_hub.sandbox.access import CLIENT_ID, CLIENT_SECRET
from integration_hub.stores import inbox
from integration_hub.stores.ids import key
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase


class TestPatches(HubTestCase):
	def test_bindings_are_found_by_their_new_names(self):
		self.assertEqual(run_stream(self.runtime, "customers-full")["created"], 120)
		now = frappe.get_all("External Record", fields=["name", "stream", "external_id"], order_by="name")
		for row in now:
			frappe.db.sql(
				"UPDATE `tabExternal Record` SET `name` = %s WHERE `name` = %s",
				(key(row.stream, row.external_id), row.name),
			)
		frappe.db.commit()
		for _ in range(2):  # a patch that was stopped is run again
			rename_bindings.execute()
		renamed = frappe.get_all("External Record", fields=["name", "stream", "external_id"], order_by="name")
		self.assertEqual(renamed, now)
		row = run_stream(self.runtime, "customers-full")
		self.assertEqual((row["created"], row["unchanged"]), (0, 120))

	def test_a_stream_tries_again_what_had_failed(self):
		run_stream(self.runtime, "customers-cursor")
		self.assertFalse(self.has_failed("customers-cursor"))
		name = frappe.get_all(
			"External Record", filters={"stream": "customers-cursor"}, limit=1, pluck="name"
		)
		frappe.db.set_value("External Record", name[0], "status", "Failed")
		flag_streams_with_failed_records.execute()
		frappe.db.commit()
		self.assertTrue(self.has_failed("customers-cursor"))
		self.assertFalse(self.has_failed("customers-full"))

	def test_an_alert_imported_without_the_kind_of_its_condition_gets_it(self):
		if not frappe.get_meta("Notification").has_field("condition_type"):
			self.skipTest("v15 knows one kind of condition")
		frappe.db.set_value("Notification", "Hub Silence", "condition_type", None)
		say_conditions_are_python.execute()
		frappe.db.commit()
		kinds = frappe.get_all("Notification", filters={"module": "Integration Hub"}, pluck="condition_type")
		self.assertEqual(set(kinds), {"Python"})

	def test_events_of_before_are_known_when_they_are_sent_again(self):
		event = inbox.Event("crm", "1", "a", "{}", "h1", "HTTP")
		others = [replace(event, body_hash="h2"), replace(event, event_type="b", body_hash="h3")]
		for each in (event, *others):
			inbox.store(self.runtime, [each])
		for body, parts in (("h1", ()), ("h2", ("h2",)), ("h3", ("h3",))):
			values = {"event_key": key("crm", "1", *parts)} | ({"status": "Conflict"} if parts else {})
			frappe.db.set_value("Webhook Log", {"body_hash": body}, values)
		frappe.db.commit()
		for _ in range(2):  # a patch that was stopped is run again
			key_events_by_type.execute()
		self.assertEqual(inbox.store(self.runtime, [event, *others]), ["duplicate", "conflict", "duplicate"])
		self.assertEqual(frappe.db.count("Webhook Log"), 3)

	def has_failed(self, stream: str) -> bool:
		frappe.db.commit()
		return bool(frappe.db.get_value("Sync Settings", stream, "has_failed"))

	def test_a_rotated_refresh_token_stays_good(self):
		values = {
			"integration_name": "shop",
			"base_url": self.crm.url,
			"auth_type": "OAuth2 Refresh Token",
			"token_url": f"{self.crm.url}/oauth/token",
			"client_id": CLIENT_ID,
			"client_secret": CLIENT_SECRET,
			"refresh_token": "spent",
		}
		frappe.get_doc({"doctype": "Integration Settings", **values}).insert()
		frappe.db.commit()
		made_from = [values["auth_type"], values["token_url"], CLIENT_ID, "", "spent"]
		seed = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
		token = Token("kept", time.time() + 3600, "rotated", seed)
		self.runtime.secrets("shop").set("oauth_token", token.dumps())
		keep_rotated_tokens.execute()
		frappe.db.commit()
		kept = Token.loads(self.runtime.secrets("shop").get("oauth_token"))
		self.assertEqual((kept.access_token, kept.refresh_token), ("kept", "rotated"))
		with self.runtime.connector("shop") as connector:
			self.assertEqual(connector.token_expires_at(), token.expires_at, "it is the settings' own")
