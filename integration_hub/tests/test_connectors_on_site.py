"""Connectors where the database has snapshots, core keeps tokens, and another Frappe site answers."""

import threading
import time
from unittest.mock import patch

import frappe
import requests
from frappe.core.doctype.deleted_document.deleted_document import restore

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.errors import NotFound
from integration_hub.connectors.registry import connector_for
from integration_hub.runtime.frappe.autonomous import autonomous_transaction
from integration_hub.sandbox.access import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, errors, site_endpoint

LOCAL = ["127.0.0.1:*"]


class TestConnectors(HubTestCase):
	def test_a_renewed_token_is_used_whatever_snapshot_the_caller_reads(self):
		with self.runtime.connector("crm") as connector:
			connector.get("/v1/me")
			frappe.db.sql("SELECT `name` FROM `tabUser` LIMIT 1")  # opens a snapshot
			self.crm.tokens.revoke_all()
			self.assertEqual(connector.get("/v1/me"), {"name": "Sandbox CRM"})
		self.assertEqual(self.crm.tokens.issued, 2)

	def test_a_token_that_another_process_rotated_is_read_and_not_refreshed_again(self):
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"auth_type": "OAuth2 Refresh Token", "refresh_token": REFRESH_TOKEN})
		doc.save()
		frappe.db.commit()
		with self.runtime.connector("crm") as ours:
			ours.get("/v1/me")
			frappe.db.sql("SELECT `name` FROM `tabUser` LIMIT 1")
			self.crm.tokens.revoke_all()

			def elsewhere() -> None:
				from integration_hub.runtime.frappe import FrappeRuntime

				with FrappeRuntime().connector("crm") as theirs:
					theirs.get("/v1/me")

			autonomous_transaction(elsewhere)
			ours.get("/v1/me")
		self.assertEqual((self.crm.tokens.issued, self.crm.tokens.refused), (2, 0))

	def test_a_token_is_kept_when_the_caller_rolls_back(self):
		frappe.db.set_value("Integration Settings", "crm", "test_path", "/changed")
		with self.runtime.connector("crm") as connector:
			connector.get("/v1/me")
		frappe.db.rollback()
		kept = self.runtime.secrets("crm").get("oauth_token") or ""
		# SQLite has one writer at a time: there the token joins the caller's transaction, and goes with it.
		self.assertEqual("access_token" in kept, frappe.db.db_type != "sqlite")

	def test_a_call_that_fails_in_code_is_logged_by_integration(self):
		def call() -> None:
			doc = frappe.get_doc("Integration Settings", "crm")
			with doc.get_connector() as connector, self.assertRaises(NotFound):
				connector.get("/v1/nothing")

		call()
		frappe.db.rollback()  # as a handler's transaction is that fails for it
		call()
		frappe.db.set_value("Integration Settings", "crm", "test_path", "/changed")
		call()
		frappe.db.commit()
		[error] = errors()
		self.assertEqual((error.integration, error.operation, error.kind), ("crm", "Call", "Not Found"))
		self.assertEqual((error.response_status, error.occurrences), (404, 3))
		self.assertIn("/v1/nothing", error.request)

	def test_a_call_of_the_hubs_own_is_logged_once(self):
		self.crm.faults.set(rates={"garbage": 1.0})
		self.assertEqual(run_stream(self.runtime, "customers-full")["status"], "Failed")
		self.assertEqual([error.operation for error in errors()], ["Sync"])

	def test_a_form_is_told_what_a_run_waits_for(self):
		self.crm.faults.set(following=["none", "500"])
		said = []
		with patch.object(frappe, "publish_realtime", lambda event, message=None, **_: said.append(message)):
			self.assertEqual(run_stream(self.runtime, "customers-full")["status"], "Completed")
		waiting = [message["waiting"] for message in said if message and message.get("waiting")]
		self.assertEqual(len(waiting), 1)
		self.assertRegex(waiting[0], r"Server error .* HTTP 500 Attempt 2 of 5 in \d+ s\.")

	def test_consent_and_tokens_of_a_connected_app_are_cores(self):
		app = frappe.get_doc(
			{
				"doctype": "Connected App",
				"provider_name": "sandbox",
				"client_id": CLIENT_ID,
				"client_secret": CLIENT_SECRET,
				"token_uri": f"{self.crm.url}/oauth/token",
			}
		).insert()
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"auth_type": "Connected App", "connected_app": app.name})
		doc.save()
		frappe.db.commit()
		self.assertEqual(run_stream(self.runtime, "customers-cursor")["status"], "Failed")
		self.assertIn("connect it once", errors()[0].message)

		answer = requests.post(
			f"{self.crm.url}/oauth/token",
			data={"grant_type": "client_credentials"},
			auth=(CLIENT_ID, CLIENT_SECRET),
			timeout=10,
		)
		cache = frappe.get_doc(
			{"doctype": "Token Cache", "user": "Administrator", "connected_app": app.name}
		).insert()
		cache.update_data(answer.json())
		self.assertEqual(run_stream(self.runtime, "customers-cursor")["status"], "Completed")
		self.assertSame("cursor")

	def test_private_addresses_are_refused_outside_developer_mode(self):
		with patch.dict(frappe.local.conf, developer_mode=0, integration_hub_allowed_hosts=[]):
			row = run_stream(self.runtime, "customers-cursor")
			self.assertEqual(row["status"], "Failed")
			self.assertIn("integration_hub_allowed_hosts", row["error"])
			frappe.conf.integration_hub_allowed_hosts = ["127.0.0.1:*"]
			self.assertEqual(run_stream(self.runtime, "customers-cursor")["status"], "Completed")

	def test_an_open_breaker_is_seen_on_the_form_and_puts_runs_off(self):
		from integration_hub.api import health, test_connection

		frappe.db.set_value("Integration Settings", "crm", {"max_attempts": 1, "breaker_threshold": 2})
		frappe.db.commit()
		self.crm.faults.set(rates={"500": 1.0})
		for _ in range(2):
			self.assertEqual(run_stream(self.runtime, "customers-full")["status"], "Failed")
		self.assertEqual(health("crm")["breaker"], "Open")
		self.assertEqual(run_stream(self.runtime, "customers-full")["status"], "Postponed")
		self.crm.faults.set()
		self.assertEqual(test_connection("crm")["ok"], True)
		self.assertEqual(health("crm")["breaker"], "Closed")

	def test_test_connection_says_what_failed_in_a_sentence(self):
		from integration_hub.api import test_connection

		self.assertEqual(test_connection("crm")["ok"], True)
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.client_secret = "wrong-secret"
		doc.save()
		frappe.db.commit()
		answer = test_connection("crm")
		self.assertEqual(answer["ok"], False)
		self.assertIn("Authentication failed. Check credentials.", answer["message"])
		self.assertEqual(len(errors()), 1)

	def test_another_frappe_site_is_followed_through_its_api(self):
		"""This site is the other one too: its ToDos, through its REST API, with an API key."""
		user = frappe.get_doc("User", "Administrator")
		key, secret = frappe.generate_hash(length=15), frappe.generate_hash(length=15)
		user.api_key, user.api_secret = key, secret
		user.save()
		frappe.db.delete("ToDo")
		frappe.db.delete("Deleted Document", {"deleted_doctype": "ToDo"})
		names = [frappe.get_doc({"doctype": "ToDo", "description": f"n{n}"}).insert().name for n in range(45)]
		same = frappe.utils.now()  # a bulk update: many documents with one time, over a page's edge
		for name in names[:30]:
			frappe.db.set_value("ToDo", name, "modified", same, update_modified=False)
		frappe.db.commit()
		with site_endpoint() as endpoint:
			config = IntegrationConfig(
				"other",
				connector="Frappe",
				base_url=endpoint.partition("/api/")[0],
				auth_type="API Key Header",
				api_key_name="Authorization",
			)
			secrets = _Given(f"token {key}:{secret}")
			with connector_for(config, secrets, LocalCoordination(), {}, LOCAL) as connector:
				self.assertEqual(sorted(_walk(connector, "")), sorted(names))
				since = same.replace(" ", "T") + "Z"
				frappe.delete_doc("ToDo", names[0], force=True)
				frappe.db.commit()
				changed = _walk(connector, since)
				self.assertEqual(changed[names[0]].get("deleted"), True)
				self.assertEqual(set(names[1:30]) - set(changed), set())

	def test_what_another_site_restores_and_renames_is_met_under_its_new_name_alone(self):
		user = frappe.get_doc("User", "Administrator")
		key, secret = frappe.generate_hash(length=15), frappe.generate_hash(length=15)
		user.api_key, user.api_secret = key, secret
		user.save()
		frappe.db.delete("ToDo")
		frappe.db.delete("Deleted Document", {"deleted_doctype": "ToDo"})
		frappe.db.delete("Comment", {"reference_doctype": "ToDo"})
		names = [frappe.get_doc({"doctype": "ToDo", "description": f"n{n}"}).insert().name for n in range(8)]
		restored, renamed, twice, back, merged, into, kept, _ = names
		frappe.db.commit()
		time.sleep(1.1)
		since = frappe.utils.now().replace(" ", "T") + "Z"
		frappe.delete_doc("ToDo", restored, force=True)
		deleted = frappe.get_last_doc("Deleted Document", {"deleted_name": restored})
		restore(deleted.name, alert=False)
		deleted.reload()
		for old, new in ((renamed, "new & old"), (twice, "second"), ("second", "third"), (back, "away")):
			frappe.rename_doc("ToDo", old, new, force=True)
		frappe.rename_doc("ToDo", "away", back, force=True)
		frappe.rename_doc("ToDo", merged, into, force=True, merge=True)
		frappe.get_doc("ToDo", kept).add_comment("Edit", "<strong>bold</strong> words")
		frappe.db.commit()
		with site_endpoint() as endpoint:
			config = IntegrationConfig(
				"other",
				connector="Frappe",
				base_url=endpoint.partition("/api/")[0],
				auth_type="API Key Header",
				api_key_name="Authorization",
			)
			secrets = _Given(f"token {key}:{secret}")
			with connector_for(config, secrets, LocalCoordination(), {}, LOCAL) as connector:
				changed = _walk(connector, since)
		gone = {name for name, record in changed.items() if record.get("deleted")}
		alive = set(frappe.get_all("ToDo", pluck="name"))
		self.assertLessEqual({renamed, twice, merged}, gone)
		self.assertEqual(gone & alive, set())
		self.assertEqual(restored in gone, deleted.new_name != restored)
		self.assertLessEqual({"new & old", "third", deleted.new_name}, set(changed) - gone)

	def test_every_kind_of_error_has_its_sentence_translated(self):
		from integration_hub.connectors import errors as kinds
		from integration_hub.integration_hub.messages import MESSAGES

		classes = [
			c for c in vars(kinds).values() if isinstance(c, type) and issubclass(c, kinds.ConnectorError)
		]
		for cls in classes:
			self.assertIn(cls.sentence, MESSAGES, cls.__name__)


class _Given:
	"""One secret, from memory."""

	def __init__(self, value: str):
		self.value = value

	def get(self, field: str) -> str | None:
		return self.value if field == "secret" else None


def _walk(connector, since: str) -> dict[str, dict]:
	from integration_hub.connectors.pages import ListRequest

	request = ListRequest(
		"/api/resource/ToDo", pagination={"page_size": 20}, since=since, with_deletions=True
	)
	found: dict[str, dict] = {}
	for page in connector.pages(request):
		assert threading.current_thread() is threading.main_thread()
		found |= {record["name"]: record for record in page.records}
	return found
