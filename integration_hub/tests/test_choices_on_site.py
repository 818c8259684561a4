"""Connectors and schemes that other apps register are chosen like the built-in ones; routes begin as the scheme's do."""

from unittest.mock import patch

import frappe

from integration_hub import api
from integration_hub.integration_hub.choices import boot
from integration_hub.tests.support import HubTestCase
from integration_hub.webhooks.schemes import HMACScheme, Places


class AcmeScheme(HMACScheme):
	"""A scheme as another app has it."""

	places = Places(record_path="data.object")


REGISTERED = {
	"connectors": {"Acme": "integration_hub.connectors.rest.RestConnector"},
	"schemes": {"Acme Signed": "integration_hub.tests.test_choices_on_site.AcmeScheme"},
}


def registered():
	runtime = "integration_hub.runtime.frappe.FrappeRuntime"
	return (
		patch(f"{runtime}.connectors", lambda self: REGISTERED["connectors"]),
		patch(f"{runtime}.schemes", lambda self: REGISTERED["schemes"]),
	)


class TestChoices(HubTestCase):
	def made(self, **values: object) -> frappe.model.document.Document:
		plain = {"integration_name": "acme", "base_url": "https://acme.example", "webhook_enabled": 1}
		return frappe.get_doc(
			{"doctype": "Integration Settings", "webhook_secret": "s3cret-word", **plain, **values}
		)

	def test_desk_knows_them_before_it_draws_a_form(self):
		connectors, schemes = registered()
		with connectors, schemes:
			info = frappe._dict()
			boot(info)
			self.assertEqual(api.choices()["connector"], info.integration_hub["connector"])
		self.assertIn("Acme", info.integration_hub["connector"])
		self.assertIn("Acme Signed", info.integration_hub["webhook_scheme"])
		self.assertEqual(info.integration_hub["record_paths"]["Acme Signed"], "data.object")
		self.assertEqual(info.integration_hub["record_paths"]["Shopify"], "")
		frappe.set_user("Guest")
		nothing = frappe._dict()
		boot(nothing)
		self.assertNotIn("integration_hub", nothing)

	def test_they_are_saved_though_the_options_do_not_name_them(self):
		connectors, schemes = registered()
		with connectors, schemes:
			doc = self.made(connector="Acme", webhook_scheme="Acme Signed").insert()
			self.assertEqual((doc.connector, doc.webhook_scheme), ("Acme", "Acme Signed"))
			doc.save()

	def test_what_nobody_registered_is_refused(self):
		for values in ({"connector": "Acme"}, {"webhook_scheme": "Acme Signed"}, {"auth_type": "Guess"}):
			with self.assertRaises(frappe.ValidationError):
				self.made(**values).insert()

	def test_a_new_route_begins_with_the_place_of_the_scheme(self):
		route = {"event_pattern": "*", "stream": "customers-full"}
		for scheme, path in (("Shopify", ""), ("HMAC", "data"), ("Stripe", "data.object")):
			with self.subTest(scheme):
				doc = self.made(
					webhook_scheme=scheme, integration_name=f"acme-{scheme}", routes=[route]
				).insert()
				self.assertEqual(doc.routes[0].record_path or "", path)
				doc.routes[0].record_path = ""
				doc.save()
				self.assertEqual(doc.reload().routes[0].record_path or "", "")

	def test_an_event_that_its_route_ignores_is_done(self):
		from integration_hub.sandbox import sender
		from integration_hub.tests.support import site_endpoint
		from integration_hub.webhooks.drain import drain

		frappe.db.set_value("Webhook Route", {"event_pattern": "customer.*"}, "action", "Ignore")
		frappe.db.commit()
		with site_endpoint() as url:
			self.assertEqual(sender.send(url, sender.make("customer.updated", {"id": "x"})).status_code, 200)
		drain(self.runtime, "crm")
		frappe.db.commit()
		self.assertEqual(frappe.get_all("Webhook Log", pluck="status"), ["Completed"])
		shown = api.preview_replay(frappe.get_all("Webhook Log", pluck="name"))
		self.assertIn("ignore", shown[0]["does"])
