"""What the forms of Integration Settings and Sync Settings ask for: by role, and what they are told."""

import json

import frappe
from frappe.custom.doctype.property_setter.property_setter import make_property_setter
from frappe.permissions import add_permission, reset_perms, update_permission_property
from frappe.utils.password import set_encrypted_password

from integration_hub import api
from integration_hub.connectors.errors import ConnectorError
from integration_hub.connectors.oauth2 import Token
from integration_hub.integration_hub import health as hub_health
from integration_hub.integration_hub.messages import refuse
from integration_hub.runtime.frappe.secrets import FrappeSecrets
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, on_screen, work

ROLES = {"manager@example.com": "Integration Manager", "viewer@example.com": "Integration Viewer"}
NOBODY = "nobody@example.com"


class TestDeskForms(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		for email in (*ROLES, NOBODY):
			if not frappe.db.exists("User", email):
				user = {"doctype": "User", "email": email, "first_name": email, "send_welcome_email": 0}
				frappe.get_doc(user).insert()
			if role := ROLES.get(email):
				frappe.get_doc("User", email).add_roles(role)
		frappe.db.commit()

	def tearDown(self) -> None:
		frappe.set_user("Administrator")
		super().tearDown()

	# who may

	def test_only_managers_try_the_endpoint_rotate_and_see_what_would_go(self):
		entry_points = {
			"send_test_webhook": lambda: api.send_test_webhook("crm"),
			"rotate_webhook_secret": lambda: api.rotate_webhook_secret("crm", frappe.generate_hash()),
			"held_deletions": lambda: api.held_deletions("customers-full"),
		}
		for user in ("viewer@example.com", NOBODY, "Guest"):
			for name, press in entry_points.items():
				frappe.set_user(user)
				with self.assertRaises(frappe.PermissionError, msg=f"{user} {name}"):
					press()
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", "manager@example.com")
		frappe.db.commit()
		frappe.set_user("manager@example.com")
		entry_points["send_test_webhook"]()
		entry_points["rotate_webhook_secret"]()
		self.assert_may_read_targets()

	def assert_may_read_targets(self) -> None:
		"""Who may change a stream and not read its documents is not shown them."""
		with self.assertRaises(frappe.PermissionError):
			api.held_deletions("customers-full")

	def test_viewers_watch_runs_and_pauses_and_nobody_else_does(self):
		watch = {
			"stream_state": lambda: api.stream_state("customers-full"),
			"running_streams": api.running_streams,
			"integration_states": api.integration_states,
		}
		for user in ROLES:
			frappe.set_user(user)
			for look in watch.values():
				look()
		for user in (NOBODY, "Guest"):
			frappe.set_user(user)
			for name, look in watch.items():
				with self.assertRaises(frappe.PermissionError, msg=f"{user} {name}"):
					look()

	# connection

	def test_a_failed_test_says_what_where_and_what_to_do(self):
		for change, words in (
			({"test_path": "/v1/nothing"}, ("Resource not found", "/v1/nothing", "Test Path")),
			({"client_secret": "wrong"}, ("Authentication", "/oauth/token", "Client Secret")),
			({"base_url": "http://127.0.0.1:9"}, ("Connection failed", "127.0.0.1:9", "port")),
		):
			doc = frappe.get_doc("Integration Settings", "crm")
			kept = {field: doc.get(field) for field in change}
			doc.update(change)
			doc.save()
			frappe.db.commit()  # a token is stored on another connection
			found = api.test_connection("crm")
			self.assertFalse(found["ok"])
			for key, word in zip(("what", "request", "hint"), words, strict=True):
				self.assertIn(word, found[key], change)
			kept = {
				**kept,
				**({"client_secret": "sandbox-client-secret"} if "client_secret" in change else {}),
			}
			frappe.get_doc("Integration Settings", "crm").update(kept).save()
		self.assertNotIn(
			"wrong", json.dumps(frappe.get_all("Integration Error Log", fields=["*"]), default=str)
		)
		frappe.db.commit()
		self.assertTrue(api.test_connection("crm")["ok"])
		self.assertFalse(frappe.db.count("Integration Error Log", {"status": "Open"}))

	# health

	def test_health_tells_when_the_token_ends_and_not_the_token(self):
		self.assertEqual(api.health("crm")["token"], {"expires_at": None, "renews": True})
		api.test_connection("crm")
		health = api.health("crm")
		self.assertGreater(health["token"]["expires_at"], frappe.utils.now())
		token = Token.loads(FrappeSecrets("crm").get("oauth_token"))
		self.assertNotIn(str(token.access_token), json.dumps(health))

	def test_health_tells_the_budget_left(self):
		frappe.db.set_value("Integration Settings", "crm", {"rate_limit": 10, "rate_period": 60})
		before = api.health("crm")["budget"]
		self.assertEqual((before["limit"], before["left"]), (10, 10))
		self.runtime.coordination.postpone("crm", 600)
		self.addCleanup(frappe.cache.delete, self.runtime.coordination._key("budget", "crm"))
		after = api.health("crm")["budget"]
		self.assertEqual(after["left"], 0)
		self.assertGreater(after["wait"], 500)

	def test_health_says_what_is_wrong_instead_of_failing(self):
		frappe.db.set_value("Integration Settings", "crm", "connector", "Gone")
		health = api.health("crm")
		self.assertIn("Gone", health["error"])
		self.assertEqual(health["waiting"], 0)

	def test_a_paused_integration_is_told_to_the_list(self):
		self.assertEqual(hub_health.paused(), [])
		with self.runtime.connector("crm") as connector:
			breaker = connector.breaker
			self.runtime.coordination.claim(breaker._open, "1", 60)
			self.addCleanup(self.runtime.coordination.forget, breaker._open)
		self.assertEqual(hub_health.paused(), ["crm"])

	# endpoint

	def test_a_test_webhook_goes_through_the_endpoint_and_leads_to_its_row(self):
		answer = api.send_test_webhook("crm")
		self.assertEqual((answer["status"], answer["reason"]), (202, "unrouted"))
		row = frappe.get_doc("Webhook Log", answer["log"])
		self.assertEqual((row.integration, row.event_id, row.status), ("crm", answer["event_id"], "Unrouted"))

	def test_a_test_webhook_that_fits_a_route_is_handled(self):
		record = self.crm.customers.alive()[0]
		answer = api.send_test_webhook("crm", "customer.updated", json.dumps({"data": record}))
		self.assertEqual((answer["status"], answer["reason"]), (200, "received"))
		work()
		self.assertEqual(frappe.db.get_value("Webhook Log", answer["log"], "status"), "Completed")
		self.assertTrue(frappe.db.exists("Sandbox Customer", {"customer_id": record["id"]}))

	def test_a_test_webhook_that_cannot_be_made_says_why(self):
		for payload, words in (("[1]", "JSON object"), ("{", "not JSON")):
			with self.assertRaisesRegex(frappe.ValidationError, words):
				api.send_test_webhook("crm", "", payload)
		frappe.db.set_value("Integration Settings", "crm", "webhook_enabled", 0)
		with self.assertRaisesRegex(frappe.ValidationError, "takes no webhooks"):
			api.send_test_webhook("crm")
		frappe.db.set_value(
			"Integration Settings", "crm", {"webhook_enabled": 1, "webhook_scheme": "Standard Webhooks"}
		)
		set_encrypted_password("Integration Settings", "crm", "whpk_" + "A" * 43 + "=", "webhook_secret")
		frappe.db.set_value("Integration Settings", "crm", "webhook_secret_old", "")
		with self.assertRaisesRegex(frappe.ValidationError, "only the sender can sign"):
			api.send_test_webhook("crm")

	def test_both_secrets_are_good_after_a_rotation(self):
		api.rotate_webhook_secret("crm", "a-new-secret")
		secrets = FrappeSecrets("crm")
		self.assertEqual(secrets.get("webhook_secret"), "a-new-secret")
		self.assertEqual(secrets.get("webhook_secret_old"), "sandbox-webhook-secret")
		self.assertEqual(api.send_test_webhook("crm")["status"], 202)
		with self.assertRaisesRegex(frappe.ValidationError, "current secret"):
			api.rotate_webhook_secret("crm", "a-new-secret")

	def test_a_secret_that_senders_may_still_use_is_dropped_on_a_persons_word_only(self):
		api.rotate_webhook_secret("crm", "mistyped")
		with self.assertRaisesRegex(
			frappe.ValidationError, "crm, Previous Webhook Secret: this secret is still accepted"
		):
			api.rotate_webhook_secret("crm", "as-it-was-meant")
		secrets = FrappeSecrets("crm")
		self.assertEqual(secrets.get("webhook_secret_old"), "sandbox-webhook-secret")
		api.rotate_webhook_secret("crm", "as-it-was-meant", drop_previous="true")
		self.assertEqual(secrets.get("webhook_secret"), "as-it-was-meant")
		self.assertEqual(secrets.get("webhook_secret_old"), "mistyped")

	def test_a_backfill_says_which_end_of_the_time_is_wrong(self):
		for since, until, words in (
			("yesterday", None, ", From – .*yesterday"),
			("2026-01-01", "soon", ", Until – .*soon"),
			("2026-01-02", "2026-01-01", ", Until – .*before"),
			("0001-01-01T00:00:00+05:00", None, ", From – "),
		):
			named = on_screen("Sync Settings", "customers-incremental")
			with self.assertRaisesRegex(frappe.ValidationError, named + words):
				api.backfill("customers-incremental", since, until)

	# runs

	def test_a_form_sees_the_run_that_goes_on_and_the_last_ones(self):
		run_stream(self.runtime, "customers-full")
		seen = []

		def look(_) -> None:
			if not seen:
				seen.append(api.stream_state("customers-full")["run"])
				seen.append(api.running_streams())

		self.runtime.watcher = look
		run_stream(self.runtime, "customers-full")
		self.runtime.watcher = None
		frappe.db.commit()
		going, all_going = seen
		self.assertEqual((going["status"], going["expected"]), ("Running", 120))
		self.assertEqual([run["run"] for run in all_going], [going["run"]])
		state = api.stream_state("customers-full")
		self.assertIsNone(state["run"])
		self.assertEqual([run["created"] for run in state["runs"]], [120, 0])
		self.assertEqual(api.running_streams(), [])

	def test_what_waits_for_approval_is_listed_and_goes_once_approved(self):
		run_stream(self.runtime, "customers-full")
		frappe.db.set_value(
			"Sync Settings", "customers-full", {"max_delete_count": 1, "max_delete_percent": 1}
		)
		self.crm.customers.delete(30)
		run_stream(self.runtime, "customers-full")
		frappe.db.commit()
		[held] = api.stream_state("customers-full")["held"]
		self.assertEqual(held["to_delete"], 30)
		found = api.held_deletions("customers-full")
		self.assertEqual(
			(found["total"], found["go"], found["policy"], found["doctype"]),
			(30, 30, "Delete", "Sandbox Customer"),
		)
		alive = {row["id"] for row in self.crm.customers.alive()}
		self.assertEqual(len({row["external_id"] for row in found["rows"]} - alive), 30)
		self.assertTrue(
			all(frappe.db.exists("Sandbox Customer", row["target_name"]) for row in found["rows"])
		)
		api.approve_deletions(found["sync_log"])
		work()
		self.assertSame("full")
		with self.assertRaisesRegex(frappe.ValidationError, "waiting for approval"):
			api.held_deletions("customers-full")

	def test_sync_now_warns_where_nobody_would_run_it(self):
		frappe.db.set_single_value("System Settings", "enable_scheduler", 0)
		warnings = " ".join(api.sync_now("customers-full"))
		self.assertIn("enable-scheduler", warnings)
		frappe.db.set_single_value("System Settings", "enable_scheduler", 1)

	def test_what_cannot_run_is_refused_before_it_is_handed_over(self):
		frappe.db.set_value("Integration Settings", "crm", "enabled", 0)
		for press in (
			lambda: api.sync_now("customers-full"),
			lambda: api.backfill("customers-incremental", "2026-01-01"),
		):
			named = on_screen("Integration Settings", "crm")
			with self.assertRaisesRegex(frappe.ValidationError, f"{named}.*is disabled"):
				press()
		self.assertFalse(frappe.db.get_value("Sync Settings", "customers-full", "wanted"))
		frappe.db.set_value("Integration Settings", "crm", "enabled", 1)
		frappe.db.set_value("Sync Settings", "customers-incremental", "status", "Running")
		with self.assertRaisesRegex(frappe.ValidationError, "is running"):
			api.backfill("customers-incremental", "2026-01-01")

	def test_a_backfill_is_run_again_over_its_own_range_of_time(self):
		api.backfill("customers-incremental", "2026-01-01", "2026-01-02")
		work()
		fields = ["name", "period", "mode"]
		[first] = frappe.get_all("Sync Log", filters={"stream": "customers-incremental"}, fields=fields)
		api.backfill_again(first.name)
		work()
		runs = frappe.get_all("Sync Log", filters={"stream": "customers-incremental"}, fields=fields)
		self.assertEqual([(run.mode, run.period) for run in runs], [("Backfill", first.period)] * 2)

	# what they are told is text

	def test_what_was_given_or_answered_is_no_html_in_a_message(self):
		image = "<img src=x onerror=alert(1)>"
		entry_points = (
			lambda: api.backfill("customers-incremental", image),
			lambda: api.replay_events([image]),
			lambda: refuse(ConnectorError(image)),
		)
		for entry_point in entry_points:
			frappe.clear_messages()
			with self.assertRaises((frappe.ValidationError, frappe.PermissionError)):
				entry_point()
			[said] = frappe.get_message_log()
			self.assertIn("img src", said["message"])
			self.assertNotIn("<img", said["message"])

	def test_a_dry_run_shows_no_value_that_one_may_not_read(self):
		"""Neither of a document that is kept from the user, nor of a field of a higher permission level."""
		run_stream(self.runtime, "customers-full")
		hidden, other = (row["id"] for row in self.crm.customers.alive()[:2])
		for customer in (hidden, other):
			self.crm.customers.set(customer, city="Lund", email="new@example.com")
		names = dict(frappe.get_all("External Record", fields=["external_id", "target_name"], as_list=True))
		add_permission("Sandbox Customer", "Integration Manager")
		make_property_setter("Sandbox Customer", "email", "permlevel", 1, "Int")
		permission = frappe.get_doc(
			{
				"doctype": "User Permission",
				"user": "manager@example.com",
				"allow": "Sandbox Customer",
				"for_value": names[other],
			}
		).insert()
		self.addCleanup(self.show_again, permission)
		frappe.db.commit()
		frappe.clear_cache(doctype="Sandbox Customer")
		frappe.set_user("manager@example.com")
		sample = {one["external_id"]: one for one in api.dry_run("customers-full")["sample"]}
		self.assertEqual(list(sample[other]["changes"]), ["city"])
		self.assertEqual(sample[other]["changes"]["city"][1], "Lund")
		self.assertEqual((sample[hidden]["name"], sample[hidden]["changes"]), ("", {}))
		self.assertIn("may not read", sample[hidden]["error"])

	def look_as_manager(self, **values) -> dict:
		"""Return a dry run of customers-full, which runs as Administrator, as the manager sees it."""
		frappe.set_user("Administrator")
		frappe.db.set_value("Sync Settings", "customers-full", values)
		frappe.db.commit()
		frappe.set_user("manager@example.com")
		return api.dry_run("customers-full")

	def test_a_dry_run_does_not_tell_whether_a_document_one_may_not_read_exists(self):
		"""By a match field, whose values the source, or who writes the mapping, chooses."""
		add_permission("Sandbox Customer", "Integration Manager")
		here, hidden, seen = (row["id"] for row in self.crm.customers.alive()[:3])
		for name in (here, hidden):
			frappe.get_doc(
				{"doctype": "Sandbox Customer", "customer_id": name, "email": f"{name}@x.y"}
			).insert()
		visible = frappe.db.get_value("Sandbox Customer", {"customer_id": here})
		permission = frappe.get_doc(
			{
				"doctype": "User Permission",
				"user": "manager@example.com",
				"allow": "Sandbox Customer",
				"for_value": visible,
			}
		).insert()
		self.addCleanup(self.show_again, permission)
		found = self.look_as_manager(match_field="customer_id")
		sample = {one["external_id"]: one["action"] for one in found["sample"]}
		self.assertEqual((sample[here], sample[hidden], sample[seen]), ("update", "create", "create"))
		self.assertEqual((found["counts"]["updated"], found["counts"]["created"]), (1, 119))

	def test_a_dry_run_does_not_match_by_a_field_one_may_not_read(self):
		add_permission("Sandbox Customer", "Integration Manager")
		for kind in ("write", "create", "delete"):
			update_permission_property("Sandbox Customer", "Integration Manager", 0, kind, 1)
		make_property_setter("Sandbox Customer", "email", "permlevel", 1, "Int")
		self.addCleanup(self.show_again)
		frappe.clear_cache(doctype="Sandbox Customer")
		with self.assertRaisesRegex(frappe.PermissionError, "Email of Sandbox Customer"):
			self.look_as_manager(match_field="email")
		shown = api.preview("customers-full")
		self.assertIn("customer_id", shown[0]["values"])
		self.assertNotIn("email", shown[0]["values"])
		frappe.set_user("Administrator")
		values = {"match_field": None, "target_doctype": "Sandbox Customer"}
		frappe.db.set_value("Sync Settings", "customers-full", values)
		frappe.db.set_value("Integration Settings", "crm", "run_as_user", "manager@example.com")
		frappe.db.commit()
		frappe.set_user("manager@example.com")
		stream = frappe.get_doc("Sync Settings", "customers-full").update({"match_field": "email"})
		with self.assertRaisesRegex(
			frappe.ValidationError, "email of Sandbox Customer has permission level 1"
		):
			stream.save()
		frappe.set_user("Administrator")
		add_permission("Sandbox Customer", "Integration Manager", 1)
		for kind, value in (("write", 1), ("read", 0)):  # who may write it may not read it for that
			update_permission_property("Sandbox Customer", "Integration Manager", 1, kind, value)
		frappe.set_user("manager@example.com")
		stream.reload().update({"match_field": "email"})
		with self.assertRaisesRegex(frappe.ValidationError, "Match Field: you may not read email"):
			stream.save()

	def test_a_dry_run_links_to_no_document_one_may_not_read(self):
		"""A value of the source that names a document of a DocType the person has no part in."""
		add_permission("Sandbox Customer", "Integration Manager")
		self.addCleanup(self.show_again)
		make_property_setter(
			"Sandbox Customer", "city", "fieldtype", "Link", "Data", validate_fields_for_doctype=False
		)
		make_property_setter(
			"Sandbox Customer",
			"city",
			"options",
			"Sandbox Customer Change",
			"Data",
			validate_fields_for_doctype=False,
		)
		frappe.clear_cache(doctype="Sandbox Customer")
		row = frappe.db.get_value("Sync Field Mapping", {"parent": "customers-full", "field": "city"})
		frappe.db.set_value("Sync Field Mapping", row, {"conversion": "Link", "argument": "customer_name"})
		with self.assertRaises(frappe.PermissionError):
			self.look_as_manager()
		frappe.db.set_value("Sync Field Mapping", row, {"conversion": "", "argument": ""})
		found = self.look_as_manager(write_mode="Bulk")
		self.assertEqual(found["counts"]["failed"], 0)  # nothing is said of names

	def show_again(self, permission=None) -> None:
		frappe.set_user("Administrator")
		if permission:
			permission.delete()
		frappe.db.delete(
			"Property Setter",
			{"doc_type": "Sandbox Customer", "property": ["in", ["permlevel", "fieldtype", "options"]]},
		)
		reset_perms("Sandbox Customer")
		frappe.clear_cache(doctype="Sandbox Customer")
		frappe.db.commit()
