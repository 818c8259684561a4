"""Look at the Source: for who could save such a stream, before it is saved, and of nothing that is secret."""

import json

import frappe

from integration_hub import api
from integration_hub.tests.support import HubTestCase

MANAGER = "look-manager@example.com"
FORM = {
	"name": "new-sync-settings-1",
	"integration": "crm",
	"endpoint": "/v1/customers/page",
	"pagination": "None",
}


class TestLook(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		if not frappe.db.exists("User", MANAGER):
			user = {"doctype": "User", "email": MANAGER, "first_name": "Look", "send_welcome_email": 0}
			frappe.get_doc({**user, "roles": [{"role": "Integration Manager"}]}).insert()
		frappe.db.commit()
		self.addCleanup(frappe.set_user, "Administrator")

	def test_a_form_that_is_not_saved_is_looked_at_and_nothing_is_kept(self):
		before = frappe.db.count("Sync Settings")
		found = api.look_at_source(json.dumps(FORM))
		self.assertEqual(found["records_path"], "data")
		self.assertIn("email", [key["path"] for key in found["keys"]])
		self.assertEqual(found["pagination"]["pagination"], "Page Number")
		self.assertEqual(frappe.db.count("Sync Settings"), before)

	def test_a_saved_one_is_looked_at_as_the_form_has_it(self):
		given = {**frappe.get_doc("Sync Settings", "customers-full").as_dict(), "records_path": "data.items"}
		found = api.look_at_source(frappe.as_json(given))
		self.assertIn("records are at data", found["problem"])
		self.assertEqual(frappe.db.get_value("Sync Settings", "customers-full", "records_path"), "data")

	def test_who_may_not_decide_asks_for_nothing(self):
		"""The call goes out with the integration's credentials: to where they are sent is not a manager's word."""
		frappe.set_user(MANAGER)
		with self.assertRaises(frappe.PermissionError):
			api.look_at_source(json.dumps(FORM))
		kept = frappe.get_doc("Sync Settings", "customers-full").as_dict()
		self.assertTrue(api.look_at_source(frappe.as_json(kept))["lists"])  # as a preview does
		with self.assertRaises(frappe.PermissionError):
			api.look_at_source(frappe.as_json({**kept, "endpoint": "/v1/changes"}))
		frappe.set_user("Guest")
		with self.assertRaises(frappe.PermissionError):
			api.look_at_source(json.dumps(FORM))

	def test_no_other_host_is_asked(self):
		for endpoint in ("https://elsewhere.example/x", "//elsewhere.example/x"):
			with self.assertRaises(frappe.ValidationError):
				api.look_at_source(json.dumps({**FORM, "endpoint": endpoint}))

	def test_what_is_missing_or_wrong_is_named(self):
		for field, value in (("integration", ""), ("endpoint", ""), ("records_path", "data[")):
			with self.subTest(field), self.assertRaises(frappe.ValidationError):
				api.look_at_source(json.dumps({**FORM, field: value}))
