"""Permissions of each whitelisted method, by role."""

from unittest.mock import patch

import frappe
import requests
from frappe.permissions import add_permission, reset_perms

from integration_hub import api
from integration_hub.connectors.secrets import SECRET_FIELDS
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import LOGS, HubTestCase, site_endpoint


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
		self.log = run_stream(self.runtime, "customers-cursor")["name"]
		self.record = frappe.get_all("External Record", pluck="name", limit=1)[0]
		self.error = self.runtime.log_error(ValueError("x"), integration="crm", operation="Test")
		frappe.db.commit()

	def tearDown(self) -> None:
		frappe.set_user("Administrator")
		super().tearDown()

	def entry_points(self) -> dict:
		"""Return what a person may press or see, by whose it is: of each whitelisted function, one call."""
		managers = {
			"test_connection": lambda: api.test_connection("crm"),
			"sync_now": lambda: api.sync_now("customers-full"),
			"backfill": lambda: api.backfill("customers-incremental", "2026-01-01"),
			"backfill_again": lambda: api.backfill_again(self.backfill()),
			"preview": lambda: api.preview("customers-full"),
			"dry_run": lambda: api.dry_run("customers-full"),
			"look_at_source": lambda: api.look_at_source(
				frappe.get_doc("Sync Settings", "customers-full").as_json()
			),
			"reset_checkpoint": lambda: api.reset_checkpoint("customers-full"),
			"replay_events": lambda: api.replay_events([self.event()]),
			"replay_since": lambda: api.replay_since("crm"),
			"handle_conflict": lambda: api.handle_conflict(self.event()),
			"preview_replay": lambda: api.preview_replay([self.event()]),
			"resolve_failures": lambda: api.resolve_failures([self.error]),
			"reopen_failures": lambda: api.reopen_failures([self.error]),
			"retry_failures": lambda: api.retry_failures([self.error]),
			"retry_record": lambda: api.retry_record(self.record),
			"held_deletions": lambda: api.held_deletions("customers-full"),
			"keep_deletions": lambda: api.keep_deletions(self.log),
			"ask_about_kept": lambda: api.ask_about_kept("customers-full"),
			"retry_matching": lambda: api.retry_matching("External Record", []),
			"retry_records": lambda: api.retry_records([self.record]),
			"replay_deliveries": lambda: api.replay_deliveries([self.delivery()]),
			"preview_delivery": lambda: api.preview_delivery(self.delivery()),
			"plan_sending": lambda: api.plan_sending(self.sending()),
			"send_what_is_there": lambda: api.send_what_is_there(self.sending()),
			"run_streams": lambda: api.run_streams(["customers-full"]),
			"run_again": lambda: api.run_again([self.log]),
			"enable_streams": lambda: api.enable_streams(["customers-full"]),
		}
		deciders = {
			"approve_deletions": lambda: api.approve_deletions(self.log),
			"approve_deliveries": lambda: api.approve_deliveries([self.delivery()]),
			"send_test_webhook": lambda: api.send_test_webhook("crm"),
			"removal_plan": lambda: api.removal_plan("crm"),
			"delete_integration": self.delete_nothing,
			"rotate_webhook_secret": lambda: api.rotate_webhook_secret("crm", "another-secret", True),
			"accept_new_secret": self.accept_new_secret,
		}
		readers = {
			"log_days": lambda: api.log_days("Webhook Log"),
			"health": lambda: api.health("crm"),
			"choices": api.choices,
			"senders": api.senders,
			"integration_states": api.integration_states,
			"count_to_retry": lambda: api.count_to_retry("External Record", []),
			"stream_state": lambda: api.stream_state("customers-full"),
			"running_streams": api.running_streams,
			"held_documents": lambda: api.held_documents(self.log),
			"events_a_day": api.events_a_day,
			"records_a_day": api.records_a_day,
		}
		described = {"kind": "Airbyte Manifest", "text": "streams: []", "name": "nothing"}
		owners = {
			"start_sandbox": api.start_sandbox,
			"describe_import": lambda: api.describe_import(**described),
			"make_import": lambda: api.make_import(**described),
		}
		return {"managers": managers, "deciders": deciders, "readers": readers, "owners": owners}

	def accept_new_secret(self) -> None:
		"""Open an integration whose sender chooses the secret, and has none yet."""
		frappe.db.set_value("Integration Settings", "crm", "webhook_scheme", "Asana")
		frappe.db.delete(
			"__Auth", {"doctype": "Integration Settings", "name": "crm", "fieldname": "webhook_secret"}
		)
		api.accept_new_secret("crm")

	def backfill(self) -> str:
		"""Return the name of a backfill's run."""
		row = {"mode": "Backfill", "period": "2026-01-01 00:00:00 – …", "stream": "customers-incremental"}
		frappe.db.set_value("Sync Log", self.log, row)
		return self.log

	def sending(self) -> str:
		"""Return a stream that sends, made without anybody's permission."""
		if not frappe.db.exists("Sync Settings", "todos-out"):
			values = {
				"name": "todos-out",
				"stream_name": "todos-out",
				"integration": "crm",
				"direction": "Out",
			}
			doc = frappe.get_doc({"doctype": "Sync Settings", "target_doctype": "Sandbox Customer", **values})
			doc.update({"endpoint": "/v1/received/todos", "enabled": 1})
			doc.append("mapping", {"field": "email", "source_path": "email"})
			doc.db_insert()
			doc.mapping[0].update({"parent": doc.name, "parenttype": doc.doctype, "parentfield": "mapping"})
			doc.mapping[0].db_insert()
		return "todos-out"

	def delivery(self) -> str:
		"""Return a delivery's name, made without anybody's permission."""
		from integration_hub.stores import deliveries

		name = deliveries.delivery_name(False)
		document = frappe.get_all("Sandbox Customer", pluck="name", limit=1) or [self.customer()]
		row = {
			"name": name,
			"status": "Failed",
			"stream": self.sending(),
			"integration": "crm",
			"backfill": 0,
		}
		row |= {"reference_doctype": "Sandbox Customer", "document": document[0], "operation": "Upsert"}
		deliveries.add(self.runtime, [row])
		return name

	def customer(self) -> str:
		doc = frappe.get_doc({"doctype": "Sandbox Customer", "customer_id": "x"})
		doc.name = "x"
		doc.db_insert()
		return doc.name

	def event(self) -> str:
		"""Return an event's name, made without anybody's permission."""
		from integration_hub.stores import inbox

		event = inbox.Event("crm", frappe.generate_hash(), "order.x", "{}", "h", "HTTP", unrouted=True)
		inbox.store(self.runtime, [event])
		return self.runtime.db.query("SELECT MAX(`name`) AS `name` FROM `tabWebhook Log`")[0]["name"]

	def test_each_whitelisted_function_has_an_expectation(self):
		"""A new entry point is not left open by oversight: a new one has to be listed here."""
		own = {
			name
			for name, function in vars(api).items()
			if getattr(function, "__module__", "").startswith(f"{api.__name__}.")
			and function in frappe.whitelisted
		}
		entry_points = self.entry_points()
		self.assertEqual(
			own,
			{
				"webhook",
				*entry_points["managers"],
				*entry_points["deciders"],
				*entry_points["readers"],
				*entry_points["owners"],
			},
		)
		self.assertEqual(
			{f.__name__ for f in frappe.guest_methods if f.__module__.startswith(f"{api.__name__}.")},
			{"webhook"},
		)

	def test_a_sandbox_is_for_a_system_manager_where_the_site_allows_it(self):
		with patch("integration_hub.sandbox.alone.start", return_value="http://127.0.0.1:8765") as started:
			with patch.dict(frappe.local.conf, developer_mode=0, integration_hub_sandbox=1):
				self.assertEqual(api.start_sandbox()["base_url"], "http://127.0.0.1:8765")
				self.assertIn("127.0.0.1:8765", self.runtime.allowed_hosts())
				for user in ("manager@example.com", "viewer@example.com", "nobody@example.com", "Guest"):
					self.assertFalse(self.press(user, "start_sandbox", api.start_sandbox), user)
			with patch.dict(frappe.local.conf, developer_mode=0, integration_hub_sandbox=0):
				self.assertRaises(frappe.ValidationError, api.start_sandbox)
				self.assertNotIn("127.0.0.1:8765", self.runtime.allowed_hosts())
		self.assertEqual(started.call_count, 1)

	def test_imports_are_for_a_system_manager(self):
		for name in ("describe_import", "make_import"):
			entry_point = self.entry_points()["owners"][name]
			self.assertTrue(self.press("Administrator", name, entry_point), name)
			for user in ("manager@example.com", "viewer@example.com", "nobody@example.com", "Guest"):
				self.assertFalse(self.press(user, name, entry_point), (user, name))

	def test_a_preview_takes_the_right_to_read_the_target(self):
		for name in ("preview", "dry_run"):
			self.assertFalse(
				self.press("manager@example.com", name, self.entry_points()["managers"][name]), name
			)

	def press(self, user: str, name: str, endpoint) -> bool:
		"""Tell whether a user is let in."""
		frappe.set_user(user)
		try:
			endpoint()
		except frappe.PermissionError:
			return False
		except frappe.ValidationError:
			self.assertIn(
				name,
				(
					"retry_record",
					"held_deletions",
					"keep_deletions",
					"send_test_webhook",
					"handle_conflict",
				),
			)  # this run holds nothing, nothing failed
		finally:
			frappe.set_user("Administrator")
			frappe.db.commit()
		return True

	def delete_nothing(self) -> None:
		"""Ask for the removal of the integration, which the others go on to try, as far as who may."""
		with patch("integration_hub.integration_hub.removal.remove"):
			api.delete_integration("crm")

	def reset_target(self) -> None:
		reset_perms("Sandbox Customer")
		frappe.db.commit()

	def test_each_entry_point_opens_to_whose_it_is(self):
		entry_points = self.entry_points()
		add_permission("Sandbox Customer", "Integration Manager")
		self.addCleanup(self.reset_target)
		for name, endpoint in entry_points["managers"].items():
			self.assertTrue(self.press("manager@example.com", name, endpoint), f"a manager may not {name}")
			for user in ("viewer@example.com", "nobody@example.com", "Guest"):
				self.assertFalse(self.press(user, name, endpoint), f"{user} may {name}")
		frappe.db.set_value("Sync Log", self.log, "status", "Needs Approval")
		for name, endpoint in entry_points["deciders"].items():
			for user in ("manager@example.com", "viewer@example.com", "nobody@example.com", "Guest"):
				self.assertFalse(self.press(user, name, endpoint), f"{user} may {name} as Administrator")
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", "manager@example.com")
		frappe.db.commit()
		for name, endpoint in entry_points["deciders"].items():
			self.assertTrue(self.press("manager@example.com", name, endpoint), f"a manager may not {name}")
		for name, endpoint in entry_points["readers"].items():
			for user in ("manager@example.com", "viewer@example.com"):
				self.assertTrue(self.press(user, name, endpoint), f"{user} may not {name}")
			for user in ("nobody@example.com", "Guest"):
				self.assertFalse(self.press(user, name, endpoint), f"{user} may {name}")

	def test_one_row_that_is_out_of_reach_keeps_all_from_being_done(self):
		"""A user who may read and write only one integration acts on no other's logs, by whatever list of names."""
		other = frappe.copy_doc(frappe.get_doc("Integration Settings", "crm"))
		other.update({"integration_name": "other", "routes": []})
		other.insert()
		theirs = self.runtime.log_error(ValueError("y"), integration="other", operation="Test")
		permission = frappe.get_doc(
			{
				"doctype": "User Permission",
				"user": "manager@example.com",
				"allow": "Integration Settings",
				"for_value": "crm",
			}
		).insert()
		frappe.db.commit()
		try:
			frappe.set_user("manager@example.com")
			self.assertEqual(api.resolve_failures([self.error]), 1)
			self.assertRaises(frappe.PermissionError, api.resolve_failures, [self.error, theirs])
			self.assertRaises(frappe.PermissionError, api.retry_failures, [theirs])
		finally:
			frappe.set_user("Administrator")
			permission.delete()
			frappe.db.commit()

	def test_no_role_reads_a_secret(self):
		for user in ("manager@example.com", "viewer@example.com"):
			frappe.set_user(user)
			doc = frappe.get_doc("Integration Settings", "crm")
			doc.apply_fieldlevel_read_permissions()
			shown = frappe.as_json(doc.as_dict())
			for field in SECRET_FIELDS:
				secret = self.runtime.secrets("crm").get(field)
				self.assertFalse(secret and secret in shown, f"{user} {field}")

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

	def test_a_guest_reaches_the_webhook_entry_point_and_no_other(self):
		with site_endpoint() as endpoint:
			base = endpoint.rpartition(".webhook")[0]
			for name in {name for entry_points in self.entry_points().values() for name in entry_points}:
				answer = requests.post(f"{base}.{name}", timeout=30)
				self.assertEqual(answer.status_code, 403, name)
