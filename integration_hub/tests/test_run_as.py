"""Whose name an integration may use: what a manager sets up is done in the manager's own."""

from datetime import datetime, timedelta, timezone

import frappe
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from frappe import _
from frappe.custom.doctype.custom_field.custom_field import create_custom_field
from frappe.model import no_value_fields
from frappe.permissions import add_permission, reset_perms, update_permission_property

from integration_hub.api import approve_deletions
from integration_hub.integration_hub.run_as import CLOSES, TUNES, check_integration, check_stream, may
from integration_hub.tests.support import HubTestCase, on_screen

MANAGER, BOSS = "manager@example.com", "boss@example.com"


def _made() -> tuple[str, str]:
	"""Return a key and a certificate of it, in PEM."""
	key = ec.generate_private_key(ec.SECP256R1())
	name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
	now = datetime.now(timezone.utc)
	builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
	certificate = (
		builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
	)
	plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
	pem = serialization.Encoding.PEM
	return key.private_bytes(pem, *plain).decode().strip(), certificate.public_bytes(pem).decode()


KEY, CERTIFICATE = _made()


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
		self.refused(doc, on_screen("Integration Settings", "shop, Secret"), "Base URL")
		doc = frappe.get_doc("Integration Settings", "shop")
		doc.update({"base_url": "https://elsewhere.example.com", "secret": "another"})
		doc.save()
		frappe.set_user("Administrator")
		doc = frappe.get_doc("Integration Settings", "shop")
		doc.base_url = self.crm.url
		doc.save()

	def make_own(self, **values):
		"""Return an integration that runs as the manager, with a secret that is stored."""
		base = {"doctype": "Integration Settings", "integration_name": "shop", "base_url": self.crm.url}
		frappe.get_doc({**base, **values}).insert()
		frappe.db.commit()
		self.addCleanup(frappe.db.commit)
		self.addCleanup(frappe.delete_doc, "Integration Settings", "shop", force=True)
		self.addCleanup(frappe.set_user, "Administrator")
		return frappe.get_doc("Integration Settings", "shop")

	def test_a_stored_secret_does_not_travel_another_way_unless_it_is_entered_again(self):
		self.make_own(auth_type="Bearer", secret="s3cret")
		for change in (
			{"base_url": "https://elsewhere.example.com"},
			{"base_url": self.crm.url.replace("http:", "https:")},
			{"proxy": "http://elsewhere.example.com"},
			{"verify_tls": 0},
			{"auth_type": "API Key Query"},
			{"auth_type": "API Key Header", "api_key_name": "User-Agent"},
			{"auth_type": "HMAC"},
			{"auth_type": "Basic", "username": "ada"},
			{"api_key_name": "q"},
			{"username": "ada"},
			{"connector": "Frappe"},
		):
			doc = frappe.get_doc("Integration Settings", "shop").update(change)
			self.refused(doc, on_screen("Integration Settings", "shop, Secret"), "enter it again")
			doc = frappe.get_doc("Integration Settings", "shop").update({**change, "secret": "entered-again"})
			doc.save()
			frappe.db.rollback()
		doc = frappe.get_doc("Integration Settings", "shop")
		doc.update({"base_url": f"{self.crm.url}/v1", "test_path": "/me", "read_timeout": 7}).save()

	def test_every_secret_that_is_used_is_entered_again(self):
		oauth = {"token_url": f"{self.crm.url}/oauth/token", "client_id": "c", "client_secret": "s3cret"}
		self.make_own(auth_type="OAuth2 Refresh Token", refresh_token="r3fresh", **oauth)
		there = {"token_url": "https://elsewhere.example.com/oauth/token"}
		for again, left in (({}, "Client Secret"), ({"client_secret": "x"}, "Refresh Token")):
			doc = frappe.get_doc("Integration Settings", "shop").update({**there, **again})
			self.refused(doc, on_screen("Integration Settings", "shop"), left)

	def test_further_secrets_are_entered_again_where_they_would_be_sent_another_way(self):
		self.make_own(secret_2="s3cond", extra_headers="X-Key: {secret_2}")
		for change in (
			{"base_url": "https://elsewhere.example.com"},
			{"extra_headers": "User-Agent: {secret_2}"},
			{"extra_params": "q={secret_2}"},
			{"proxy": "http://elsewhere.example.com"},
			{"ca_bundle": CERTIFICATE},
		):
			doc = frappe.get_doc("Integration Settings", "shop").update(change)
			self.refused(doc, on_screen("Integration Settings", "shop, Second Secret"), "enter it again")
			frappe.get_doc("Integration Settings", "shop").update({**change, "secret_2": "again"}).save()
			frappe.db.rollback()

	def test_what_signs_and_logs_in_is_entered_again_for_another_address(self):
		login = {"token_url": "login", "login_body": '{"password": "{secret}"}', "secret": "s3cret"}
		self.make_own(auth_type="Session Token", **login)
		for change in (
			{"token_url": "https://elsewhere.example.com/login"},
			{"login_body": '{"q": "{secret}"}'},
			{"login_headers": "X-Key: {secret}"},
			{"token_path": "other"},
		):
			doc = frappe.get_doc("Integration Settings", "shop").update(change)
			self.refused(doc, on_screen("Integration Settings", "shop, Secret"), "enter it again")

	def test_keys_are_kept_in_password_fields_and_entered_again(self):
		self.make_own(auth_type="JWT", private_key=KEY, client_certificate=CERTIFICATE, client_key=KEY)
		shown = frappe.get_doc("Integration Settings", "shop")
		self.assertEqual({shown.private_key, shown.client_key}, {"*****"})
		self.assertEqual(self.runtime.secrets("shop").get("client_key"), KEY)
		for change, field in (
			({"base_url": "https://elsewhere.example.com"}, "Client Key"),
			({"base_url": "https://elsewhere.example.com", "client_key": KEY}, "Private Key"),
			({"jwt_claims": '{"a": "b"}', "client_key": KEY}, "Private Key"),
		):
			doc = frappe.get_doc("Integration Settings", "shop").update(change)
			self.refused(doc, on_screen("Integration Settings", f"shop, {field}"), "enter it again")

	def test_a_proxys_secret_is_told_no_other_proxy(self):
		self.make_own(proxy="http://proxy.example:3128", proxy_secret="ada:lovelace")
		doc = frappe.get_doc("Integration Settings", "shop").update({"proxy": "http://elsewhere.example"})
		self.refused(doc, "Proxy Secret", "enter it again")
		frappe.get_doc("Integration Settings", "shop").update({"base_url": "https://a.example"}).save()

	def test_a_secret_that_is_no_longer_used_is_forgotten(self):
		"""Else it would lie there until another kind of authentication sends it, to wherever the address has gone."""
		doc = self.make_own(auth_type="Bearer", secret="s3cret")
		doc.update({"auth_type": "None", "base_url": "https://elsewhere.example.com"}).save()
		self.assertFalse(self.runtime.secrets("shop").get("secret"))
		self.refused(doc.update({"auth_type": "Bearer"}), "Secret")

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
			self.refused(
				self.with_token_of(user), on_screen("Integration Settings", "mail"), "Connected User", user
			)

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
			words = (
				on_screen("Sync Settings", "mine"),
				"crm",
				user or "Administrator",
				"System Manager",
				"Run As User",
			)
			self.refused(self.make_stream(), *words)
		self.set_run_as(MANAGER)
		self.make_stream().insert()

	def test_a_stream_that_writes_as_another_is_not_changed(self):
		self.set_run_as(BOSS)
		stream = frappe.get_doc("Sync Settings", "customers-full")
		stream.mapping[0].default_value = "forged"
		self.refused(stream, on_screen("Sync Settings", "customers-full"), BOSS)
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
		self.refused(doc, on_screen("Integration Settings", "crm"), "Routes", "Administrator", "Run As User")
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.routes[0].event_pattern = "*"
		self.refused(doc, "Routes")
		doc = frappe.get_doc("Integration Settings", "crm")
		self.refused(doc.update({"routes": doc.routes[1:]}), "Routes")  # another one might fit instead
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"read_timeout": 7}).save()
		doc.run_as_user = MANAGER
		doc.append("routes", route)
		doc.save()

	def test_the_order_of_rows_is_a_change(self):
		self.set_run_as(BOSS)
		for doctype, name, table in (
			("Integration Settings", "crm", "routes"),
			("Sync Settings", "customers-full", "mapping"),
		):
			doc = frappe.get_doc(doctype, name)
			for number, row in enumerate(doc.get(table)):
				row.idx = -number
			self.refused(doc, BOSS)
			frappe.set_user("Administrator")
			doc = frappe.get_doc(doctype, name)
			last = doc.get(table)[-1].name
			doc.get(table)[-1].idx = -1
			doc.save()
			rows = frappe.get_doc(doctype, name).get(table)
			self.assertEqual(rows[0].name, last)
			self.assertEqual([row.idx for row in rows], list(range(1, len(rows) + 1)))
			frappe.set_user(MANAGER)

	def test_a_row_is_not_changed_behind_its_documents_back(self):
		for user in (MANAGER, "Administrator"):
			frappe.set_user(user)
			for doctype, parent in (("Webhook Route", "crm"), ("Sync Field Mapping", "customers-full")):
				name = frappe.db.get_value(doctype, {"parent": parent})
				self.refused(frappe.get_doc(doctype, name), doctype, parent)
				with self.assertRaises(frappe.ValidationError):
					frappe.delete_doc(doctype, name)
				with self.assertRaises(frappe.ValidationError):
					frappe.rename_doc(doctype, name, "renamed", force=True)
				frappe.db.rollback()
				self.assertTrue(frappe.db.exists(doctype, name))

	def test_a_row_is_not_taken_from_another_document(self):
		"""Frappe updates a row by its name only: saved with another document, it would leave its own."""
		mine = frappe.get_doc(
			{"doctype": "Integration Settings", "integration_name": "rows", "base_url": self.crm.url}
		).insert()
		frappe.db.commit()
		route = frappe.get_doc("Integration Settings", "crm").routes[0]
		mine.set("routes", [route.as_dict()])
		self.refused(mine, on_screen("Integration Settings", "rows"), "Routes", "crm")
		stream = self.make_stream().update({"integration": "rows"}).insert()
		row = frappe.get_doc("Sync Settings", "customers-full").mapping[0]
		stream.set("mapping", [row.as_dict()])
		self.refused(stream, on_screen("Sync Settings", "mine"), "Mapping", "customers-full")

	# which fields

	def test_every_field_that_does_not_only_tune_is_a_system_managers(self):
		"""Also one that is added later: a field is one of those that tune, or decides."""
		self.set_run_as(BOSS)
		frappe.set_user("Administrator")
		custom = {"fieldname": "added_later", "label": "Added Later", "fieldtype": "Data"}
		for doctype in TUNES:
			create_custom_field(doctype, custom)
		self.addCleanup(frappe.delete_doc, "Custom Field", "Sync Settings-added_later", force=True)
		self.addCleanup(frappe.delete_doc, "Custom Field", "Integration Settings-added_later", force=True)
		self.addCleanup(frappe.set_user, "Administrator")
		frappe.set_user(MANAGER)
		tried = set()
		for doctype, name in (("Integration Settings", "crm"), ("Sync Settings", "customers-full")):
			integration = "crm"
			for df in frappe.get_meta(doctype).fields:
				if df.fieldtype in no_value_fields or df.fieldname in TUNES[doctype]:
					continue
				doc = frappe.get_doc(doctype, name)
				doc._doc_before_save = frappe.get_doc(doctype, name)
				doc.set(df.fieldname, other_than(doc.get(df.fieldname), df.fieldtype))
				if df.fieldname in CLOSES[doctype] and not doc.get(df.fieldname):
					continue
				with self.assertRaises(frappe.PermissionError, msg=df.fieldname) as caught:
					check_integration(doc) if doctype == "Integration Settings" else check_stream(doc)
				self.assertIn(_(df.label), str(caught.exception))
				tried.add(df.fieldname)
			self.assertTrue(may("Run", integration) and not may("Decide", integration))
		wanted = {
			"base_url",
			"proxy",
			"verify_tls",
			"secret",
			"webhook_secret",
			"webhook_scheme",
			"event_id_path",
		}
		wanted |= {"queue_url", "connector", "auth_type", "endpoint", "params", "records_path", "pagination"}
		wanted |= {"target_doctype", "match_field", "deletion_policy", "max_delete_percent", "added_later"}
		self.assertLessEqual(wanted, tried)

	def test_an_endpoint_to_the_inbox_may_be_closed_and_not_opened(self):
		self.set_run_as(BOSS)
		doc = frappe.get_doc("Integration Settings", "crm").update({"webhook_enabled": 0})
		doc.save()
		self.refused(doc.update({"webhook_enabled": 1}), "Receive Webhooks", BOSS)

	def test_what_runs_as_another_is_not_deleted_or_renamed(self):
		self.set_run_as(BOSS)
		frappe.db.delete("Webhook Route", {"stream": "customers-full"})
		for doctype, name in (("Sync Settings", "customers-full"), ("Integration Settings", "crm")):
			with self.assertRaisesRegex(frappe.PermissionError, "crm writes as"):
				frappe.delete_doc(doctype, name)
			with self.assertRaises(frappe.ValidationError):
				frappe.rename_doc(doctype, name, "renamed", force=True)
		frappe.db.rollback()

	def test_deletions_beyond_the_limits_are_approved_by_who_may_set_the_limits(self):
		log = {"doctype": "Sync Log", "stream": "customers-full", "status": "Needs Approval"}
		name = frappe.get_doc({**log, "integration": "crm"}).insert(ignore_permissions=True).name
		self.set_run_as(BOSS)
		with self.assertRaisesRegex(frappe.PermissionError, BOSS):
			approve_deletions(name)


def other_than(value, fieldtype: str):
	"""Return a value that a field does not have."""
	if fieldtype in ("Check", "Int", "Float"):
		return 0 if value else 1
	if fieldtype == "Datetime":
		return "2001-02-03 04:05:06"
	return BOSS if fieldtype == "Link" and value != BOSS else "another"
