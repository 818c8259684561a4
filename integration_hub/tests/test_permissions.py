"""Who may open which door."""

import frappe
import requests

from integration_hub import api
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import LOGS, HubTestCase, site_door


class TestPermissions(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		for role in ("Integration Manager", "Integration Viewer", None):
			email = f"{(role or 'Nobody').split()[-1].lower()}@example.com"
			if not frappe.db.exists("User", email):
				frappe.get_doc(
					{
						"doctype": "User",
						"email": email,
						"first_name": role or "Nobody",
						"send_welcome_email": 0,
					}
				).insert()
			if role:
				frappe.get_doc("User", email).add_roles(role)
		self.log = run_stream(self.home, "customers-cursor")["name"]
		self.error = self.home.log_error(ValueError("x"), integration="crm", operation="Test")
		frappe.db.commit()

	def tearDown(self) -> None:
		frappe.set_user("Administrator")
		super().tearDown()

	def doors(self) -> dict:
		return {
			"test_connection": lambda: api.test_connection("crm"),
			"sync_now": lambda: api.sync_now("customers-full"),
			"reset_checkpoint": lambda: api.reset_checkpoint("customers-full"),
			"approve_deletions": lambda: api.approve_deletions(self.log),
			"replay_events": lambda: api.replay_events([self.event()]),
			"resolve_error": lambda: api.resolve_error(self.error),
		}

	def event(self) -> str:
		"""Return an event's name, made without anybody's permission."""
		from integration_hub.stores import inbox

		event = inbox.Event("crm", frappe.generate_hash(), "order.x", "{}", "h", "HTTP", unrouted=True)
		inbox.store(self.home, [event])
		return self.home.db.query("SELECT MAX(`name`) AS `name` FROM `tabWebhook Log`")[0]["name"]

	def test_only_managers_may_press_a_button(self):
		for user in ("viewer@example.com", "nobody@example.com", "Guest"):
			for name, press in self.doors().items():
				frappe.set_user(user)
				with self.assertRaises(frappe.PermissionError, msg=f"{user} {name}"):
					press()
		for name, press in self.doors().items():
			frappe.set_user("manager@example.com")
			try:
				press()
			except frappe.PermissionError:
				self.fail(f"a manager may not {name}")
			except frappe.ValidationError:
				self.assertEqual(name, "approve_deletions")  # this run holds nothing

	def test_viewers_see_the_health_and_nobody_else_does(self):
		frappe.set_user("viewer@example.com")
		self.assertEqual(api.health("crm")["breaker"], "Closed")
		for user in ("nobody@example.com", "Guest"):
			frappe.set_user(user)
			with self.assertRaises(frappe.PermissionError):
				api.health("crm")

	def test_viewers_read_and_do_not_write(self):
		frappe.set_user("viewer@example.com")
		for doctype in ("Integration Settings", "Sync Settings", *LOGS):
			self.assertTrue(frappe.has_permission(doctype, "read"), doctype)
			for kind in ("write", "create", "delete"):
				self.assertFalse(frappe.has_permission(doctype, kind), f"{doctype} {kind}")

	def test_nobody_writes_logs_by_hand(self):
		frappe.set_user("manager@example.com")
		for doctype in LOGS:
			for kind in ("write", "create"):
				self.assertFalse(frappe.has_permission(doctype, kind), f"{doctype} {kind}")

	def test_a_stream_does_for_its_author_what_its_author_may_do(self):
		"""A manager of integrations is no manager of users."""
		user = frappe.get_doc("User", "manager@example.com")
		frappe.set_user("manager@example.com")
		stream = frappe.copy_doc(frappe.get_doc("Sync Settings", "customers-full"))
		stream.stream_name = "users"
		for target, mode in (("User", "Documents"), ("User", "Bulk"), ("Sync Log", "Bulk")):
			stream.update({"target_doctype": target, "write_mode": mode})
			stream.mapping = []
			stream.append(
				"mapping", {"source_path": "email", "field": "email" if target == "User" else "mode"}
			)
			with self.assertRaisesRegex(frappe.ValidationError, "Target DocType"):
				stream.insert()
		settings = frappe.get_doc("Integration Settings", "crm")
		settings.run_as_user = "viewer@example.com"
		with self.assertRaisesRegex(frappe.ValidationError, "Run As User"):
			settings.save()
		mine = frappe.get_doc(
			{"doctype": "Integration Settings", "integration_name": "mine", "base_url": self.crm.url}
		).insert()
		self.assertEqual(mine.run_as_user, user.name)

	def test_a_guest_reaches_the_webhook_door_and_no_other(self):
		with site_door() as door:
			base = door.rpartition(".webhook")[0]
			for name in self.doors():
				answer = requests.post(f"{base}.{name}", timeout=30)
				self.assertEqual(answer.status_code, 403, name)
