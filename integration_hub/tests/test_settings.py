"""Settings documents: checked on save, and what the engine keeps on them is safe from open forms."""

import frappe

from integration_hub import api
from integration_hub.connectors import OAuth2Connector
from integration_hub.patches.v0_1 import move_proxy_credentials
from integration_hub.runtime.frappe.autonomous import autonomous_transaction
from integration_hub.sandbox.access import REFRESH_TOKEN
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, on_screen


class TestSettings(HubTestCase):
	def refused(self, doctype: str, name: str, **values) -> str:
		"""Return the message a save with these values is refused with."""
		doc = frappe.get_doc(doctype, name)
		doc.update(values)
		with self.assertRaises(frappe.ValidationError) as caught:
			doc.save()
		frappe.db.rollback()
		return str(caught.exception)

	def test_wrong_integrations_are_refused_by_field(self):
		for values, words in (
			({"base_url": "ftp://x"}, (on_screen("Integration Settings", "crm"), "Base URL")),
			({"token_url": "x"}, ("Token URL",)),
			({"base_url": "https://ada:lovelace@crm.example"}, ("Base URL", "user and password")),
			({"token_url": "https://ada:lovelace@crm.example/t"}, ("Token URL", "Client Secret")),
			({"proxy": "http://ada:lovelace@proxy.example"}, ("Proxy", "Proxy Secret")),
			({"webhook_url": "https://ada:lovelace@hub.example"}, ("Public URL",)),
			({"connect_timeout": 0}, ("Connect Timeout",)),
			({"connector": "Nothing"}, ("Connector", "not registered")),
			({"webhook_scheme": "Nothing"}, ("Signature Scheme",)),
			({"webhook_secret": ""}, ("Webhook Secret",)),
			({"auth_type": "Bearer"}, ("Secret", "Bearer")),
			({"extra_headers": "X-Api-Key: abc"}, ("Extra Headers", "Second Secret")),
			({"extra_params": "q={secret_2}"}, ("Second Secret", "placeholder")),
			({"auth_type": "AWS Signature", "secret": "x"}, ("Username", "AWS Signature")),
			({"auth_type": "JWT", "private_key": "x", "jwt_claims": "["}, ("JWT Claims", "JSON")),
			({"client_certificate": "x"}, ("Client Certificate", "PEM")),
			({"ca_bundle": "x"}, ("Trusted Certificates", "PEM")),
		):
			message = self.refused("Integration Settings", "crm", **values)
			for word in words:
				self.assertIn(word, message)

	def test_what_is_wrong_is_said_in_the_persons_language(self):
		texts = {
			"row {0}: {1}": "Zeile {0}: {1}",
			"{0!r} has neither a source path nor a default": "{0!r} hat weder Pfad noch Vorgabe",
		}
		for source, translated in texts.items():
			row = {"language": "de", "source_text": source, "translated_text": translated}
			frappe.get_doc({"doctype": "Translation", **row}).insert()
		frappe.db.commit()
		self.addCleanup(frappe.db.delete, "Translation", {"source_text": ["in", list(texts)]})
		self.addCleanup(setattr, frappe.local, "lang", frappe.local.lang)
		frappe.local.lang = "de"
		mapping = [{"field": "city", "source_path": ""}]
		message = self.refused("Sync Settings", "customers-full", mapping=mapping)
		self.assertIn("Zeile 1: 'city' hat weder Pfad noch Vorgabe", message)

	def test_wrong_streams_are_refused_by_field(self):
		mapping = [{"field": "nosuch", "source_path": "id"}]
		for values, words in (
			(
				{"mapping": mapping},
				(on_screen("Sync Settings", "customers-full"), "Mapping", "no field 'nosuch'"),
			),
			({"target_doctype": "Nothing"}, ("Target DocType", "Nothing")),
			({"target_doctype": "System Settings"}, ("Target DocType", "Single")),
			({"records_path": "data["}, ("Records Path", "JMESPath")),
			({"response_format": "CSV"}, ("Records Path", "CSV")),
			({"response_format": "XML", "records_path": ""}, ("Records Path", "XML")),
			(
				{"response_format": "CSV", "records_path": "", "response_charset": "hex"},
				("Response Charset",),
			),
			({"endpoint": "https://ada:lovelace@crm.example/v1"}, ("Endpoint", "user and password")),
			({"schedule": "Cron", "cron": "often"}, ("Cron",)),
			({"mode": "Incremental", "updated_at_path": ""}, ("Updated At Path",)),
		):
			message = self.refused("Sync Settings", "customers-full", **values)
			for word in words:
				self.assertIn(word, message)

	def test_a_name_that_cannot_stand_in_a_url_is_refused(self):
		doc = frappe.copy_doc(frappe.get_doc("Integration Settings", "crm"))
		doc.update({"integration_name": "a/b", "webhook_enabled": 0, "routes": []})
		with self.assertRaisesRegex(frappe.ValidationError, "Integration Name"):
			doc.insert()

	def test_a_form_opened_before_a_run_does_not_put_old_state_back(self):
		form = frappe.get_doc("Sync Settings", "customers-cursor")
		run_stream(self.runtime, "customers-cursor")
		checkpoint = frappe.db.get_value("Sync Settings", "customers-cursor", "checkpoint")
		form.page_size = 50
		form.save()
		self.assertTrue(checkpoint)
		self.assertEqual(frappe.db.get_value("Sync Settings", "customers-cursor", "checkpoint"), checkpoint)

	def test_another_endpoint_resets_the_checkpoint(self):
		run_stream(self.runtime, "customers-cursor")
		form = frappe.get_doc("Sync Settings", "customers-cursor")
		form.endpoint = "/v1/other"
		form.save()
		self.assertFalse(frappe.db.get_value("Sync Settings", "customers-cursor", "checkpoint"))

	def test_secrets_stand_only_in_the_password_table(self):
		row = frappe.db.sql("SELECT * FROM `tabIntegration Settings` WHERE `name` = 'crm'", as_dict=True)[0]
		for secret in ("sandbox-client-secret", "sandbox-webhook-secret"):
			self.assertNotIn(secret, frappe.as_json(row))
			self.assertNotIn(secret, frappe.as_json(frappe.get_doc("Integration Settings", "crm")))

	def test_a_document_yields_a_connector_for_both_grants(self):
		doc = frappe.get_doc("Integration Settings", "crm")
		for auth_type in ("OAuth2 Client Credentials", "OAuth2 Refresh Token"):
			doc.update({"auth_type": auth_type, "refresh_token": REFRESH_TOKEN})
			doc.save()
			frappe.db.commit()
			with doc.get_connector() as connector:
				self.assertIsInstance(connector, OAuth2Connector)
				self.assertEqual(connector.get("/v1/me"), {"name": "Sandbox CRM"})
		self.assertEqual(self.crm.tokens.issued, 2)

	def test_an_integration_with_streams_is_not_deleted(self):
		with self.assertRaises(frappe.LinkExistsError):
			frappe.delete_doc("Integration Settings", "crm")

	def test_a_stream_is_not_deleted_while_it_runs(self):
		"""Its pages would find nothing bound, and make each document once more."""
		refusals = []

		def delete() -> str:
			try:
				frappe.delete_doc("Sync Settings", "customers-cursor")
			except frappe.ValidationError as error:
				return str(error)
			return ""

		def look(_) -> None:
			if not refusals:
				refusals.append(autonomous_transaction(delete))

		self.runtime.watcher = look
		row = run_stream(self.runtime, "customers-cursor")
		self.runtime.watcher = None
		self.assertIn("customers-cursor", refusals[0])
		self.assertIn("is running", refusals[0])
		self.assertEqual((row["status"], row["created"]), ("Completed", 120))
		frappe.db.commit()
		self.assertEqual(delete(), "")

	def test_a_deleted_stream_takes_its_bindings_along_and_no_others(self):
		for stream in ("customers-full", "customers-cursor"):
			run_stream(self.runtime, stream)
		frappe.delete_doc("Sync Settings", "customers-cursor")
		left = frappe.get_all("External Record", fields=["stream"], distinct=True, pluck="stream")
		self.assertEqual(left, ["customers-full"])
		self.assertEqual(frappe.db.count("External Record"), 120)

	def test_a_stream_whose_run_was_killed_is_deleted_and_its_run_closed(self):
		killed = run_stream(self.runtime, "customers-cursor")["name"]
		frappe.db.set_value("Sync Log", killed, "status", "Running")
		frappe.db.set_value("Sync Settings", "customers-cursor", "status", "Running")
		frappe.delete_doc("Sync Settings", "customers-cursor")
		self.assertEqual(frappe.db.get_value("Sync Log", killed, "status"), "Interrupted")

	def test_deleting_a_stream_locks_no_binding_of_another(self):
		if frappe.db.db_type != "mariadb":
			self.skipTest("SQLite has one writer, Postgres locks what it deletes only")
		for stream in ("customers-full", "customers-cursor"):
			run_stream(self.runtime, stream)
		others = frappe.get_all(
			"External Record", {"stream": "customers-full"}, pluck="name", order_by="name"
		)
		frappe.delete_doc("Sync Settings", "customers-cursor")
		sql = "SELECT `name` FROM `tabExternal Record` WHERE `stream` = %s FOR UPDATE SKIP LOCKED"
		free = autonomous_transaction(lambda: frappe.db.sql(sql, "customers-full"))
		self.assertGreaterEqual(len(free), len(others) - 1)  # InnoDB locks the row that ends the range, too

	def test_a_proxy_keeps_its_credentials_where_nobody_reads_them(self):
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"proxy": "http://127.0.0.1:9", "proxy_secret": "ada:lovelace"}).save()
		frappe.db.commit()
		found = api.test_connection("crm")
		told = frappe.get_all("Integration Error Log", fields=["*"])
		rows = frappe.get_all("Integration Settings", fields=["*"]) + frappe.get_all(
			"Version", fields=["data"]
		)
		for shown in (found, told, rows):
			for secret in ("lovelace", "YWRhOmxvdmVsYWNl"):
				self.assertNotIn(secret, frappe.as_json(shown))
		self.assertFalse(found["ok"])
		self.assertEqual(self.runtime.secrets("crm").get("proxy_secret"), "ada:lovelace")

	def test_credentials_in_a_proxys_url_are_moved_by_the_upgrade(self):
		old = "http://ada:love%2Flace@proxy.example:3128"
		frappe.db.set_value("Integration Settings", "crm", "proxy", old)
		data = {"changed": [["read_timeout", "30", "7"], ["proxy", "", old]], "added": []}
		version = frappe.get_doc(
			{
				"doctype": "Version",
				"ref_doctype": "Integration Settings",
				"docname": "crm",
				"data": frappe.as_json(data),
			}
		).insert(ignore_permissions=True)
		for _ in range(2):  # a patch may be run again
			move_proxy_credentials.execute()
			doc = frappe.get_doc("Integration Settings", "crm")
			self.assertEqual(doc.proxy, "http://proxy.example:3128")
			self.assertEqual(self.runtime.secrets("crm").get("proxy_secret"), "ada:love/lace")
			version.reload()
			self.assertNotIn("lace", version.data)
			self.assertIn("proxy.example", version.data)
			doc.save()  # the settings can be saved as they are now
