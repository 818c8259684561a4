"""Whose name an integration may use: what a manager sets up is done in the manager's own."""

import frappe
from frappe.permissions import add_permission, reset_perms, update_permission_property

from integration_hub.tests.support import HubTestCase

MANAGER, BOSS = "manager@example.com", "boss@example.com"


class TestAuthority(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		for email in (MANAGER, BOSS):
			if not frappe.db.exists("User", email):
				user = {"doctype": "User", "email": email, "first_name": email, "send_welcome_email": 0}
				frappe.get_doc(user).insert()
		frappe.get_doc("User", MANAGER).add_roles("Integration Manager")
		add_permission("Sandbox Customer", "Integration Manager")
		for kind in ("write", "create", "delete"):
			update_permission_property("Sandbox Customer", "Integration Manager", 0, kind, 1)
		self.addCleanup(self.put_back)
		frappe.db.commit()
		frappe.set_user(MANAGER)

	def put_back(self) -> None:
		frappe.set_user("Administrator")
		reset_perms("Sandbox Customer")
		frappe.db.delete("Connected App", {"provider_name": "sandbox"})
		frappe.db.commit()

	def refused(self, doc, *words: str) -> None:
		with self.assertRaises(frappe.ValidationError) as caught:
			doc.save()
		for word in words:
			self.assertIn(word, str(caught.exception))
		frappe.db.rollback()

	# secrets

	def test_a_secret_that_one_cannot_read_goes_to_no_other_host(self):
		values = {"doctype": "Integration Settings", "integration_name": "shop", "base_url": self.crm.url}
		frappe.get_doc({**values, "auth_type": "Bearer", "secret": "s3cret"}).insert()
		frappe.db.commit()
		self.addCleanup(frappe.db.commit)
		self.addCleanup(frappe.delete_doc, "Integration Settings", "shop", force=True)
		self.addCleanup(frappe.set_user, "Administrator")
		doc = frappe.get_doc("Integration Settings", "shop")
		doc.base_url = f"{self.crm.url}/v1"
		doc.save()  # the same host
		doc.base_url = "https://elsewhere.example.com"
		self.refused(doc, "Integration Settings shop, Secret", "Base URL")
		doc = frappe.get_doc("Integration Settings", "shop")
		doc.update({"base_url": "https://elsewhere.example.com", "secret": "another"})
		doc.save()
		frappe.set_user("Administrator")
		doc = frappe.get_doc("Integration Settings", "shop")
		doc.base_url = self.crm.url
		doc.save()

	# tokens

	def make_app(self) -> str:
		app = {
			"doctype": "Connected App",
			"provider_name": "sandbox",
			"client_id": "x",
			"token_uri": f"{self.crm.url}/oauth/token",
		}
		return frappe.get_doc(app).insert(ignore_permissions=True).name

	def with_token_of(self, user: str):
		"""Return an integration of the manager's that calls with somebody's token."""
		return frappe.get_doc(
			{
				"doctype": "Integration Settings",
				"integration_name": "mail",
				"base_url": self.crm.url,
				"auth_type": "Connected App",
				"connected_app": self.make_app(),
				"connected_user": user,
			}
		)

	def test_the_token_of_another_is_not_sent_where_a_manager_says(self):
		for user in (BOSS, "Administrator"):
			self.refused(self.with_token_of(user), "Integration Settings mail", "Connected User", user)

	def test_a_manager_uses_a_token_of_their_own(self):
		doc = self.with_token_of("").insert()
		self.assertEqual(doc.connected_user, MANAGER)
		doc.base_url = f"{self.crm.url}/v1"
		doc.save()
		doc.connected_user = ""  # which would be Administrator's
		self.refused(doc, "Connected User", "Administrator")

	def test_what_a_system_manager_set_up_is_not_turned_elsewhere(self):
		frappe.set_user("Administrator")
		doc = self.with_token_of(BOSS)
		doc.run_as_user = MANAGER
		doc.insert()
		other = self.make_app()
		frappe.db.commit()
		frappe.set_user(MANAGER)
		for change in (
			{"base_url": "https://attacker.example"},
			{"proxy": "http://attacker.example"},
			{"verify_tls": 0},
			{"connected_app": other},
		):
			changed = frappe.get_doc("Integration Settings", "mail").update(change)
			self.refused(changed, "Connected User", BOSS)
		doc = frappe.get_doc("Integration Settings", "mail").update({"read_timeout": 7})
		doc.save()
		doc.update({"base_url": "https://mine.example", "connected_user": MANAGER}).save()

	def test_a_token_is_not_reached_by_another_kind_of_authentication_first(self):
		doc = self.with_token_of(BOSS).update({"auth_type": "None"})
		doc.insert()
		self.refused(doc.update({"auth_type": "Connected App"}), "Connected User", BOSS)

	# streams

	def set_run_as(self, user: str) -> None:
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", user)
		frappe.db.commit()

	def make_stream(self):
		stream = frappe.copy_doc(frappe.get_doc("Sync Settings", "customers-full"))
		return stream.update({"stream_name": "mine"})

	def test_a_stream_that_writes_as_another_is_not_made(self):
		for user in ("", BOSS):
			self.set_run_as(user)
			words = ("Sync Settings mine", "crm", user or "Administrator", "System Manager", "Run As User")
			self.refused(self.make_stream(), *words)
		self.set_run_as(MANAGER)
		self.make_stream().insert()

	def test_a_stream_that_writes_as_another_is_not_changed(self):
		self.set_run_as(BOSS)
		stream = frappe.get_doc("Sync Settings", "customers-full")
		stream.mapping[0].default_value = "forged"
		self.refused(stream, "Sync Settings customers-full", BOSS)
		stream = frappe.get_doc("Sync Settings", "customers-full")
		self.refused(stream.update({"deletion_policy": "Keep", "max_delete_percent": 99}), BOSS)
		self.set_run_as(MANAGER)
		stream.reload()
		stream.update({"max_delete_percent": 99}).save()

	def test_a_stream_is_not_moved_to_an_integration_that_writes_as_another(self):
		frappe.get_doc(
			{"doctype": "Integration Settings", "integration_name": "own", "base_url": self.crm.url}
		).insert()
		stream = self.make_stream().update({"integration": "own"})
		stream.insert()
		self.refused(stream.update({"integration": "crm"}), "crm", "Administrator")

	def test_when_a_stream_runs_may_be_said_by_who_writes_it(self):
		self.set_run_as(BOSS)
		stream = frappe.get_doc("Sync Settings", "customers-full")
		# As a form sends them: numbers without a point.
		stream.max_delete_percent = int(stream.max_delete_percent)
		stream.update({"enabled": 0, "schedule": "Off"}).save()
		self.assertEqual(frappe.db.get_value("Sync Settings", "customers-full", "enabled"), 0)

	# routes

	def test_a_route_that_writes_as_another_is_not_added_or_changed(self):
		self.set_run_as("")
		route = {"event_pattern": "x.*", "action": "Delete Record", "stream": "customers-full"}
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.append("routes", route)
		self.refused(doc, "Integration Settings crm", "Routes", "Administrator", "Run As User")
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.routes[0].event_pattern = "*"
		self.refused(doc, "Routes")
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"routes": doc.routes[1:], "read_timeout": 7}).save()  # one less does no more
		doc.run_as_user = MANAGER
		doc.append("routes", route)
		doc.save()

	def test_a_row_is_not_changed_behind_its_documents_back(self):
		for doctype, parent in (("Webhook Route", "crm"), ("Sync Field Mapping", "customers-full")):
			name = frappe.db.get_value(doctype, {"parent": parent})
			self.refused(frappe.get_doc(doctype, name), doctype, parent)
