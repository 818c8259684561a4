"""Notifications: each problem is reported once, to those who asked for it, and can be switched off."""

import base64
import json
import time

import frappe

from integration_hub import jobs
from integration_hub.integration_hub.health import health
from integration_hub.runtime.frappe.token_expiry import expiring_tokens, stated_end
from integration_hub.stores import inbox
from integration_hub.stores.database import insert
from integration_hub.stores.ids import first_id
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase

HOUR, DAY = 3600.0, 86_400.0
PEOPLE = {"manager@example.com": "Integration Manager", "viewer@example.com": "Integration Viewer"}


class TestNotifications(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		for email, role in PEOPLE.items():
			if not frappe.db.exists("User", email):
				values = {"email": email, "first_name": role, "send_welcome_email": 0}
				frappe.get_doc({"doctype": "User", **values}).insert()
			frappe.get_doc("User", email).add_roles(role)
		frappe.db.delete("Notification Log")
		frappe.db.commit()

	def notified(self) -> list[tuple[str, str]]:
		"""Do what the scheduler does each quarter of an hour; return who has been told what so far."""
		jobs.watch_for_problems()
		rows = frappe.get_all("Notification Log", fields=["for_user", "subject"], order_by="creation")
		return [(row.for_user, row.subject) for row in rows if row.for_user in PEOPLE]

	def assertNotifiedOnce(self, subject: str) -> None:
		expected = [("manager@example.com", subject)]
		self.assertEqual(self.notified(), expected)
		self.assertEqual(self.notified(), expected, "and not again")

	def switch(self, notification: str, enabled: int) -> None:
		"""Do what a person does in the form."""
		doc = frappe.get_doc("Notification", notification)
		doc.enabled = enabled
		doc.save()
		frappe.db.commit()

	def switch_off(self, notification: str) -> None:
		self.switch(notification, 0)
		self.addCleanup(self.switch, notification, 1)

	def break_stream(self, times: int) -> None:
		frappe.db.set_value("Sync Settings", "customers-full", "endpoint", "/v1/nowhere")
		frappe.db.commit()
		for _ in range(times):
			self.assertEqual(run_stream(self.runtime, "customers-full")["status"], "Failed")

	def arrive(self, *times: float, status: str = "Completed") -> None:
		for number, at in enumerate(times):
			row = {"integration": "crm", "status": status, "event_key": f"{status}{at}", "event_id": f"{at}"}
			name = f"{first_id(at)}{number:010d}"
			insert(self.runtime.db, inbox.DOCTYPE, {"name": name, "modified": self.runtime.now(), **row})
		frappe.db.commit()

	def test_a_stream_that_keeps_failing(self):
		self.break_stream(2)
		self.assertEqual(self.notified(), [])
		self.break_stream(1)
		self.assertNotifiedOnce("Stream customers-full keeps failing")

	def test_events_that_were_given_up(self):
		self.arrive(time.time(), status="Dead")
		self.assertNotifiedOnce("Events of crm failed for good")

	def test_a_source_gone_silent(self):
		start = time.time() - 2 * DAY
		self.arrive(*(start + n * 600 for n in range(144)))
		self.assertNotifiedOnce("Nothing arrives from crm anymore")

	def test_a_token_that_ends(self):
		claims = (
			base64.urlsafe_b64encode(json.dumps({"exp": time.time() + HOUR}).encode()).decode().rstrip("=")
		)
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"auth_type": "Bearer", "secret": f"e30.{claims}.c2ln"})
		doc.save()
		frappe.db.commit()
		self.assertNotifiedOnce("The access token of crm ends soon")
		self.assertNotIn(claims, frappe.as_json(frappe.get_all("Integration Error Log", fields=["*"])))

	def test_a_connection_that_nothing_renews(self):
		app = frappe.get_doc(
			{
				"doctype": "Connected App",
				"provider_name": "hub-test",
				"client_id": "x",
				"authorization_uri": self.crm.url,
				"token_uri": self.crm.url,
			}
		).insert(ignore_permissions=True)
		self.addCleanup(frappe.delete_doc, "Connected App", app.name, force=True)
		token = {
			"doctype": "Token Cache",
			"user": "Administrator",
			"connected_app": app.name,
			"expires_in": 600,
		}
		cache = frappe.get_doc({**token, "access_token": "a", "token_type": "Bearer"}).insert(
			ignore_permissions=True
		)
		self.addCleanup(frappe.delete_doc, "Token Cache", cache.name, force=True)
		values = {"auth_type": "Connected App", "connected_app": app.name, "connected_user": "Administrator"}
		frappe.db.set_value("Integration Settings", "crm", values)
		self.assertEqual([problem.integration for problem in expiring_tokens(self.runtime)], ["crm"])
		self.assertFalse(health("crm")["token"]["renews"])
		cache.refresh_token = "r"
		cache.save(ignore_permissions=True)
		self.assertEqual(list(expiring_tokens(self.runtime)), [])
		self.assertTrue(health("crm")["token"]["renews"])
		frappe.db.set_value("Integration Settings", "crm", {"connected_app": None, "auth_type": "None"})

	def test_a_secret_that_states_no_end_has_none(self):
		for secret in ("", "plain", "a.b.c", "e30.e30.e30", "e30.bm90IGpzb24.x"):
			self.assertIsNone(stated_end(secret))

	def test_what_is_switched_off_is_not_sent(self):
		self.switch_off("Hub Dead Events")
		self.arrive(time.time(), status="Dead")
		self.assertEqual(self.notified(), [])
		self.break_stream(3)
		self.assertEqual([subject for _, subject in self.notified()], ["Stream customers-full keeps failing"])

	def test_what_a_person_changed_survives_a_migration(self):
		from frappe.modules.import_file import import_file

		self.switch_off("Hub Silence")
		import_file("Integration Hub", "Notification", "Hub Silence")
		self.assertEqual(frappe.db.get_value("Notification", "Hub Silence", "enabled"), 0)

	def test_mail_goes_out_only_where_it_is_set_up(self):
		frappe.db.delete("Email Queue")
		self.arrive(time.time(), status="Dead")
		self.notified()
		self.assertEqual(frappe.db.count("Email Queue"), 0)
		self.assertEqual(
			frappe.get_all("Error Log", {"method": ["like", "%Failed to send Notification%"]}), []
		)

	def test_where_mail_is_set_up_managers_get_one(self):
		values = {"email_account_name": "hub-test", "email_id": "hub@example.com", "smtp_server": "127.0.0.1"}
		outgoing = {"enable_outgoing": 1, "default_outgoing": 1, "no_smtp_authentication": 1}
		account = frappe.get_doc({"doctype": "Email Account", "name": "hub-test", **values, **outgoing})
		account.db_insert()
		self.addCleanup(frappe.db.commit)
		self.addCleanup(frappe.db.delete, "Email Account", {"name": "hub-test"})
		frappe.db.delete("Email Queue")
		frappe.db.delete("Email Queue Recipient")
		self.arrive(time.time(), status="Dead")
		self.notified()
		self.notified()
		sent = frappe.get_all("Email Queue Recipient", pluck="recipient")
		self.assertEqual([address for address in sent if address in PEOPLE], ["manager@example.com"])

	def test_the_scheduler_calls_it(self):
		job = frappe.get_doc("Scheduled Job Type", {"method": "integration_hub.jobs.watch_for_problems"})
		self.assertEqual((job.frequency, job.cron_format, job.stopped), ("Cron", "*/15 * * * *", 0))
