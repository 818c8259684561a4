"""Attacks on a site's promises (docs/security.md), over HTTP: what a manager, a viewer and a guest try beside the form.

Shown elsewhere: the table of roles and entry points in test_roles_and_entry_points; fields one by one, tokens of Connected Apps and
secrets that would travel in test_run_as; functions of the api package in test_permissions; Bulk, permission levels, User
Permissions and text from outside in test_bulk_rules_on_site; dry runs and previews in test_desk_forms; bodies and methods
at the webhook endpoint in test_endpoint_on_site; unsigned headers in test_unsigned_on_site; exports in test_exports_on_site.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import frappe
import requests
from frappe.utils.password import get_decrypted_password

from integration_hub.connectors.secrets import SECRET_FIELDS
from integration_hub.tests import test_roles_and_entry_points as entry_points
from integration_hub.tests.support import site_endpoint

MANAGER, VIEWER = entry_points.MANAGER, "viewer@example.com"
SETTINGS, STREAM = "Integration Settings", "Sync Settings"
CRM = {"doctype": SETTINGS, "name": "crm"}
Attack = tuple[str, str, str, dict[str, Any]]  # what it is, method, path, arguments
# Keys beside a document's own fields that decide about its saving, within Frappe.
STEERING = (
	{"__islocal": 1},
	{"__unsaved": 0, "__islocal": 1, "name": None},
	{"flags": {"ignore_validate": True, "ignore_permissions": True}},
	{"_doc_before_save": {}},
	{"get_doc_before_save": None},
	{"validate": 1},
	{"meta": {}},
	{"docstatus": 1},
	{"docstatus": 2},
	{"doctype": "ToDo"},
	{"owner": MANAGER, "modified_by": MANAGER},
	{"_action": "cancel"},
)
ENTRY_POINTS_OF_FRAPPE = (
	"Property Setter",
	"Custom Field",
	"Custom DocPerm",
	"Server Script",
	"Client Script",
	"Workflow",
	"Notification",
	"Webhook",
	"Assignment Rule",
	"Data Import",
	"Print Format",
	"Report",
	"Connected App",
	"DocType",
	"Role",
	"User Permission",
	"Custom Role",
)


class RedTeam(entry_points.TestRolesAndEntryPoints):
	"""The settings and people of that table, and what changed in it."""

	test_the_table_of_the_page = None

	def setUp(self) -> None:
		super().setUp()
		endpoint = site_endpoint()
		self.base = endpoint.__enter__().partition("/api/")[0]
		self.addCleanup(endpoint.__exit__, None, None, None)
		self.addCleanup(
			frappe.db.rollback
		)  # SQLite refuses to write from a snapshot that a request has outdated
		self.manager = entry_points.Caller(self.base, MANAGER, "crm", "customers-full")
		self.mine = entry_points.Caller(self.base, MANAGER, "mine", "mine-full")
		self.viewer = entry_points.Caller(self.base, VIEWER, "crm", "customers-full")

	def try_all(self, caller: entry_points.Caller, attacks: Iterator[Attack]) -> None:
		"""Assert that nothing of the settings is other than it was, after each attack."""
		for what, method, path, arguments in attacks:
			answer = caller.call(method, path, **arguments)
			self.assertFalse(self.has_changed(), f"{what}: {answer.status_code} {answer.text[:600]}")


class TestOtherEntryPoints(RedTeam):
	"""Entry points that lead to a document beside those of the table."""

	def test_what_another_decides_is_changed_by_none_of_them(self):
		for caller in (self.manager, self.viewer):
			self.try_all(caller, self.decisions())

	def decisions(self) -> Iterator[Attack]:
		moved = {"base_url": "https://evil.example.com"}
		doc = {**json.loads(frappe.as_json(frappe.get_doc(SETTINGS, "crm"))), **moved}
		save = "method/frappe.desk.form.save.savedocs"
		for more in STEERING:
			text = json.dumps({**doc, **more})
			yield f"savedocs {more}", "POST", save, {"doc": text, "action": "Save"}
			yield f"client.save {more}", "POST", "method/frappe.client.save", {"doc": text}
			yield f"PUT {more}", "PUT", "resource/Integration Settings/crm", {**moved, **more}
			yield f"PATCH {more}", "PATCH", "v2/document/Integration Settings/crm", {**moved, **more}
		for action in ("Submit", "Update", "Cancel"):
			yield f"savedocs {action}", "POST", save, {"doc": json.dumps(doc), "action": action}
		yield (
			"title",
			"POST",
			"method/frappe.model.rename_doc.update_document_title",
			{
				"doctype": SETTINGS,
				"docname": "crm",
				"title": "another",
			},
		)
		yield (
			"name",
			"POST",
			"method/frappe.model.rename_doc.update_document_title",
			{
				"doctype": STREAM,
				"docname": "customers-full",
				"name": "another",
			},
		)
		yield (
			"calendar",
			"POST",
			"method/frappe.desk.calendar.update_event",
			{
				"args": json.dumps({**CRM, "base_url": "https://evil.example.com", "test_path": "/x"}),
				"field_map": json.dumps({"start": "base_url", "end": "test_path"}),
			},
		)
		yield (
			"attach",
			"POST",
			"method/frappe.client.attach_file",
			{
				"filename": "x.txt",
				"filedata": "x",
				"doctype": SETTINGS,
				"docname": "crm",
				"docfield": "base_url",
			},
		)
		for method in ("save", "db_set", "delete", "on_trash"):
			given = {
				"dt": SETTINGS,
				"dn": "crm",
				"method": method,
				"args": json.dumps(["base_url", "https://evil"]),
			}
			yield f"run_doc_method {method}", "POST", "method/run_doc_method", given
			yield (
				f"v1 run_method {method}",
				"POST",
				"resource/Integration Settings/crm",
				{"run_method": method},
			)
			yield (
				f"v2 method {method}",
				"POST",
				f"v2/document/Integration Settings/crm/method/{method}",
				moved,
			)
		yield "submit", "POST", "method/frappe.client.submit", {"doc": json.dumps(doc)}
		yield "cancel", "POST", "method/frappe.client.cancel", {"doctype": SETTINGS, "name": "crm"}
		yield "delete", "POST", "method/frappe.client.delete", {"doctype": STREAM, "name": "customers-full"}
		yield (
			"bulk delete",
			"POST",
			"method/frappe.desk.reportview.delete_items",
			{
				"doctype": STREAM,
				"items": json.dumps(["customers-full"]),
			},
		)

	def test_what_is_deleted_is_not_brought_back_by_who_could_not_make_it(self):
		frappe.db.delete("Webhook Route")
		frappe.delete_doc(STREAM, "customers-cursor", force=True)
		frappe.db.commit()
		[deleted] = frappe.get_all(
			"Deleted Document", filters={"deleted_name": "customers-cursor"}, pluck="name", limit=1
		)
		for caller in (self.manager, self.viewer):
			caller.method("frappe.core.doctype.deleted_document.deleted_document.restore", name=deleted)
			frappe.db.rollback()
			self.assertFalse(frappe.db.exists(STREAM, "customers-cursor"))
		self.kept = {table: self.rows(table) for table in entry_points.TABLES}

	def test_what_decides_about_our_doctypes_is_not_a_managers(self):
		"""Nobody but a System Manager makes a customization, a script, a permission or a report of code for them."""
		for caller in (self.manager, self.viewer):
			for doctype in ENTRY_POINTS_OF_FRAPPE:
				before = frappe.db.count(doctype)
				answer = caller.call("POST", f"resource/{doctype}", **CUSTOM.get(doctype, {}))
				frappe.db.rollback()
				self.assertGreaterEqual(answer.status_code, 400, f"{doctype}: {answer.text[:300]}")
				self.assertEqual(frappe.db.count(doctype), before, doctype)
			given = {
				"doctype": SETTINGS,
				"role": "Integration Viewer",
				"permlevel": 0,
				"ptype": "write",
				"value": 1,
				"parent": SETTINGS,
			}
			for name in ("update", "add"):
				answer = caller.method(
					f"frappe.core.page.permission_manager.permission_manager.{name}", **given
				)
				self.assertGreaterEqual(answer.status_code, 400, answer.text[:300])
			form = {"doctype": "Customize Form", "doc_type": SETTINGS, "fields": []}
			answer = caller.method("run_doc_method", docs=json.dumps(form), method="save_customization")
			self.assertGreaterEqual(answer.status_code, 400, answer.text[:300])


CUSTOM: dict[str, dict[str, Any]] = {
	"Property Setter": {"doc_type": SETTINGS, "property": "permlevel", "field_name": "secret", "value": "0"},
	"Custom Field": {"dt": SETTINGS, "fieldname": "x", "fieldtype": "Data", "label": "x"},
	"Report": {"report_name": "r", "ref_doctype": SETTINGS, "report_type": "Script Report"},
}


class TestSecrets(RedTeam):
	"""No entry point hands a stored secret out, and none tells whether a guess is right."""

	def setUp(self) -> None:
		super().setUp()
		found = (get_decrypted_password(SETTINGS, "crm", f, raise_exception=False) for f in SECRET_FIELDS)
		self.secrets = [value for value in found if value]
		self.assertGreater(len(self.secrets), 1)

	def test_no_entry_point_reads_one(self):
		people = (self.manager, self.viewer)
		for caller in people:
			for what, method, path, arguments in self.reads():
				answer = caller.call(method, path, **arguments)
				for secret in self.secrets:
					self.assertNotIn(secret, answer.text, f"{what} {answer.status_code}")
				if "get_password" in what:
					self.assertGreaterEqual(answer.status_code, 400, what)

	def reads(self) -> Iterator[Attack]:
		fields = json.dumps(["name", *SECRET_FIELDS])
		for field in ("client_secret", "webhook_secret"):
			given = {"doctype": SETTINGS, "name": "crm", "fieldname": field}
			yield "get_password", "POST", "method/frappe.client.get_password", given
			yield "get_value", "GET", "method/frappe.client.get_value", {**given, "filters": "crm"}
			yield (
				"validate_link",
				"GET",
				"method/frappe.client.validate_link",
				{
					"doctype": SETTINGS,
					"docname": "crm",
					"fields": fields,
				},
			)
			yield (
				"validate_link_and_fetch",  # v16's
				"POST",
				"method/frappe.client.validate_link_and_fetch",
				{"doctype": SETTINGS, "docname": "crm", "fields_to_fetch": fields},
			)
			run = {"dt": SETTINGS, "dn": "crm", "method": "get_password", "args": json.dumps([field])}
			yield "run_doc_method get_password", "POST", "method/run_doc_method", run
			path = "v2/document/Integration Settings/crm/method/get_password"
			yield "v2 get_password", "POST", path, {"fieldname": field}
		for name in ("get_connector", "as_dict", "get", "reload"):
			run = {"dt": SETTINGS, "dn": "crm", "method": name}
			yield f"run_doc_method {name}", "POST", "method/run_doc_method", run
		yield "getdoc", "GET", "method/frappe.desk.form.load.getdoc", CRM
		yield "get", "GET", "method/frappe.client.get", {"doctype": SETTINGS, "name": "crm"}
		for doctype in (SETTINGS, "__Auth", "Version", "Deleted Document"):
			yield f"list of {doctype}", "GET", f"resource/{doctype}", {"fields": '["*"]'}
			yield f"v2 list of {doctype}", "GET", f"v2/document/{doctype}", {"fields": '["*"]'}
		for column in (
			"`tab__Auth`.`password`",
			"__Auth.password",
			"(select password from `__Auth` limit 1) as x",
		):
			given = {"doctype": SETTINGS, "fields": json.dumps([column])}
			yield f"get_list {column}", "GET", "method/frappe.client.get_list", given
			yield f"reportview {column}", "POST", "method/frappe.desk.reportview.get", given
		linked = {
			"doctype": STREAM,
			"fields": json.dumps([f"integration.{field}" for field in SECRET_FIELDS]),
		}
		yield "through a link", "GET", "method/frappe.client.get_list", linked
		for view in ("get", "export_query"):
			given = {"doctype": SETTINGS, "fields": fields, "file_format_type": "CSV", "title": "x"}
			yield f"reportview {view}", "POST", f"method/frappe.desk.reportview.{view}", given
		search = {"doctype": SETTINGS, "txt": "", "searchfield": "secret", "filters": "{}"}
		yield "search_link", "POST", "method/frappe.desk.search.search_link", search
		pdf = {"doctype": SETTINGS, "name": "crm", "format": "Standard"}
		yield (
			"print",
			"GET",
			"method/frappe.www.printview.get_html_and_style",
			{"doc": SETTINGS, "name": "crm"},
		)
		yield (
			"rendered",
			"GET",
			"method/frappe.www.printview.get_rendered_raw_commands",
			{"doc": SETTINGS, **pdf},
		)

	def test_no_filter_and_no_order_tells_whether_a_guess_is_right(self):
		"""The document's own table holds a mask of one length, whatever the secret."""
		for field in ("client_secret", "webhook_secret"):
			secret = get_decrypted_password(SETTINGS, "crm", field)
			for guess in (secret, f"{secret[:1]}%", "_" * len(secret)):
				for condition in ("=", "like", "not like", ">"):
					filters = json.dumps([[field, condition, guess]])
					answer = self.viewer.call(
						"GET", f"resource/{SETTINGS}", filters=filters, order_by=f"{field} asc"
					)
					found = [row["name"] for row in answer.json()["data"]]
					self.assertIn(
						found, ([], ["crm", "mine"], ["mine", "crm"]), f"{field} {condition} {guess}"
					)

	def test_a_guest_reads_nothing(self):
		for what, method, path, arguments in self.reads():
			answer = requests.request(method, f"{self.base}/api/{path}", json=arguments, timeout=60)
			self.assertIn(answer.status_code, (400, 401, 403, 404, 417, 500), f"{what}: {answer.text[:300]}")
			for secret in self.secrets:
				self.assertNotIn(secret, answer.text, what)
