"""One fault is one failure, on a site: settings that are wrong are refused, and what is rotten stops nothing else."""

from __future__ import annotations

import frappe
from frappe.utils.password import set_encrypted_password

from integration_hub import jobs
from integration_hub.connectors.setting_ranges import RANGES
from integration_hub.integration_hub import alerts
from integration_hub.integration_hub.doctype.integration_error_log.integration_error_log import (
	IntegrationErrorLog,
)
from integration_hub.integration_hub.doctype.sync_log.sync_log import SyncLog
from integration_hub.integration_hub.doctype.webhook_log.webhook_log import WebhookLog
from integration_hub.runtime import status
from integration_hub.stores import inbox
from integration_hub.stores.retention import FIELDS
from integration_hub.tests.support import HubTestCase, errors

HUGE = 999_999_999_999


class TestFaultsOnSite(HubTestCase):
	def second(self) -> None:
		"""Make an integration that comes before the other one by name."""
		doc = frappe.copy_doc(frappe.get_doc("Integration Settings", "crm"))
		doc.update({"integration_name": "a-crm", "auth_type": "Bearer", "secret": "abc-secret", "routes": []})
		doc.webhook_secret = "another secret"
		doc.insert()
		frappe.db.commit()

	def test_numbers_out_of_range_and_crons_that_never_come_due_are_refused_by_name(self):
		for field in RANGES:
			doctype, name = "Integration Settings", "crm"
			if not frappe.get_meta(doctype).has_field(field):
				doctype, name = "Sync Settings", "customers-full"
			for value in (-1, HUGE):
				doc = frappe.get_doc(doctype, name)
				doc.set(field, value)
				with self.assertRaises(frappe.ValidationError) as caught:
					doc.save()
				self.assertIn(doc.meta.get_label(field), str(caught.exception))
		doc = frappe.get_doc("Sync Settings", "customers-full")
		doc.update({"schedule": "Cron", "cron": "0 0 30 2 *"})
		self.assertRaises(frappe.ValidationError, doc.save)

	def test_a_rotten_stream_stops_no_other(self):
		for rotten in (
			{"schedule": "Cron", "cron": "0 0 30 2 *"},
			{"mode": "Sometimes"},
			{"interval_minutes": -7},
		):
			frappe.db.set_value("Sync Settings", "customers-cursor", {"schedule": "Interval", **rotten})
			frappe.db.commit()
			forgotten = frappe.get_all("Sync Settings", filters={"enabled": 1}, pluck="name")
			jobs.sync_due_streams()
			for name in forgotten:
				jobs.run_stream(name, "Schedule")
			self.assertEqual(frappe.db.get_value("Sync Settings", "customers-full", "status"), "OK")
			due = frappe.db.get_value("Sync Settings", "customers-cursor", "next_run_at")
			self.assertGreater(due, frappe.utils.now_datetime())
			self.assertTrue([e for e in errors() if e.stream == "customers-cursor"])
			self.setUp()

	def test_a_secret_that_cannot_be_read_stops_only_its_own_integration(self):
		self.second()
		for integration in ("a-crm", "crm"):
			inbox.store(self.runtime, [inbox.Event(integration, "1", "customer.x", "{}", "1", "HTTP")])
		set_encrypted_password("Integration Settings", "a-crm", "x", "webhook_secret")
		frappe.db.sql(
			"UPDATE `__Auth` SET `password` = 'rotten' WHERE `name` = 'a-crm' AND `fieldname` = 'webhook_secret'"
		)
		frappe.db.commit()
		jobs.sweep_webhook_inbox()
		for integration in ("a-crm", "crm"):
			jobs.drain_inbox(integration)
		alerts.notify_of_problems()
		states = frappe.get_all("Webhook Log", fields=["integration", "status"], order_by="integration")
		self.assertEqual(states[0].status, "Queued")
		self.assertNotEqual(states[1].status, "Queued")
		found = [e for e in errors() if e.integration == "a-crm"]
		self.assertIn("encryption_key", found[0].message)
		self.assertIn("encryption_key", "\n".join(status.lines(self.runtime)))

	def test_no_number_of_days_aborts_the_clean_up_of_a_site(self):
		for field in (*FIELDS.values(), "keep_payload_days"):
			frappe.db.set_value("Integration Settings", "crm", field, 999_999_999)
		frappe.db.commit()
		for days in (30, 999_999_999, HUGE):
			for log in (WebhookLog, SyncLog, IntegrationErrorLog):
				log.clear_old_logs(days)
		self.assertEqual(errors(), [])
