"""The tables of docs/security.md, row by row: each role tries each entry point with each kind of change, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import frappe
import requests
from frappe.permissions import add_permission, reset_perms, update_permission_property

import integration_hub
from integration_hub.tests.support import HubTestCase, site_endpoint

MANAGER = "manager@example.com"
PAGE = Path(integration_hub.__file__).parents[1] / "docs/security.md"
TABLES = (
	"tabIntegration Settings",
	"tabSync Settings",
	"tabWebhook Route",
	"tabSync Field Mapping",
	"__Auth",
)

# The columns of the page's table: who tries it, and at which integration and stream.
ROLES = {
	"System Manager": ("boss@example.com", "crm", "customers-full"),
	"Manager, in their own name": (MANAGER, "mine", "mine-full"),
	"Manager, in another's name": (MANAGER, "crm", "customers-full"),
	"Viewer": ("viewer@example.com", "crm", "customers-full"),
}
EntryPoint = Callable[["Caller", str], requests.Response]


class Caller:
	"""A person at the site's entry points, and the integration and stream they try them at."""

	def __init__(self, base: str, user: str, integration: str, stream: str):
		self.base, self.integration, self.stream = base, integration, stream
		key, secret = frappe.db.get_value("User", user, "api_key"), "s3cret"
		self.headers = {"Authorization": f"token {key}:{secret}", "Accept": "application/json"}

	def call(self, method: str, path: str, /, **data: Any) -> requests.Response:
		url = f"{self.base}/api/{quote(path)}"
		return requests.request(method, url, json=data, headers=self.headers, timeout=60)

	def method(self, name: str, /, **data: Any) -> requests.Response:
		return self.call("POST", f"method/{name}", **data)

	def row(self, doctype: str = "Webhook Route") -> str:
		parent = self.integration if doctype == "Webhook Route" else self.stream
		return frappe.get_all(doctype, filters={"parent": parent}, pluck="name", order_by="idx")[0]

	def change(self, kind: str) -> dict[str, Any]:
		return {"read_timeout": 7} if kind == "Tune" else {"event_id_path": "another.id"}


def save_form(c: Caller, kind: str) -> requests.Response:
	doc = frappe.get_doc("Integration Settings", c.integration).as_dict(convert_dates_to_str=True)
	doc.update(c.change(kind))
	return c.method("frappe.desk.form.save.savedocs", doc=frappe.as_json(doc), action="Save")


def bulk_update(c: Caller, kind: str) -> requests.Response:
	doc = {"doctype": "Integration Settings", "docname": c.integration, **c.change(kind)}
	return c.method("frappe.client.bulk_update", docs=json.dumps([doc]))


def bulk_edit(c: Caller, kind: str) -> requests.Response:
	names, data = json.dumps([c.stream]), {"alert_after": 9} if kind == "Tune" else {"endpoint": "/v1/else"}
	name = "frappe.desk.doctype.bulk_update.bulk_update.submit_cancel_or_update_docs"
	return c.method(name, doctype="Sync Settings", docnames=names, action="update", data=json.dumps(data))


def set_value(c: Caller, kind: str) -> requests.Response:
	return c.method(
		"frappe.client.set_value",
		doctype="Integration Settings",
		name=c.integration,
		fieldname=json.dumps(c.change(kind)),
	)


def set_value_of_stream(c: Caller, kind: str) -> requests.Response:
	values = {"schedule": "Off"} if kind == "Tune" else {"max_delete_percent": 99}
	args = {"doctype": "Sync Settings", "name": c.stream, "fieldname": json.dumps(values)}
	return c.method("frappe.client.set_value", **args)


def put(c: Caller, kind: str) -> requests.Response:
	return c.call("PUT", f"resource/Integration Settings/{c.integration}", **c.change(kind))


def patch(c: Caller, kind: str) -> requests.Response:
	return c.call("PATCH", f"v2/document/Integration Settings/{c.integration}", **c.change(kind))


def put_order(c: Caller, kind: str) -> requests.Response:
	"""Turn the routes round by their numbers alone."""
	rows = [row.as_dict() for row in frappe.get_doc("Integration Settings", c.integration).routes]
	routes = [{**row, "idx": len(rows) - number} for number, row in enumerate(rows)]
	data = json.loads(frappe.as_json({"routes": routes}))
	return c.call("PUT", f"resource/Integration Settings/{c.integration}", **data)


def post_stream(c: Caller, kind: str) -> requests.Response:
	doc = frappe.copy_doc(frappe.get_doc("Sync Settings", c.stream)).as_dict()
	doc.update(
		{"stream_name": "another", "name": None, "mapping": [{"source_path": "id", "field": "customer_id"}]}
	)
	return c.call("POST", "resource/Sync Settings", **json.loads(frappe.as_json(doc)))


def delete_stream(c: Caller, kind: str) -> requests.Response:
	return c.call("DELETE", f"resource/Sync Settings/{c.stream}")


def rename(c: Caller, kind: str) -> requests.Response:
	args = {"doctype": "Sync Settings", "old_name": c.stream, "new_name": "renamed"}
	return c.method("frappe.client.rename_doc", **args)


def row_through_set_value(c: Caller, kind: str) -> requests.Response:
	args = {"doctype": "Webhook Route", "name": c.row(), "fieldname": json.dumps({"event_pattern": "*"})}
	return c.method("frappe.client.set_value", **args)


def row_moved_by_set_value(c: Caller, kind: str) -> requests.Response:
	args = {"doctype": "Webhook Route", "name": c.row(), "fieldname": json.dumps({"idx": 99})}
	return c.method("frappe.client.set_value", **args)


def row_through_insert(c: Caller, kind: str) -> requests.Response:
	return c.method("frappe.client.insert", doc=json.dumps(_route(c)))


def row_through_insert_many(c: Caller, kind: str) -> requests.Response:
	return c.method("frappe.client.insert_many", docs=json.dumps([_route(c)]))


def row_through_delete(c: Caller, kind: str) -> requests.Response:
	return c.method("frappe.client.delete", doctype="Webhook Route", name=c.row())


def row_through_v2(c: Caller, kind: str) -> requests.Response:
	return c.call("DELETE", f"v2/document/Webhook Route/{c.row()}")


def lone_delete(c: Caller, kind: str) -> requests.Response:
	return c.call("DELETE", f"resource/Webhook Route/{c.row()}")


def lone_mapping_delete(c: Caller, kind: str) -> requests.Response:
	return c.call("DELETE", f"resource/Sync Field Mapping/{c.row('Sync Field Mapping')}")


def lone_list_delete(c: Caller, kind: str) -> requests.Response:
	args = {"doctype": "Webhook Route", "items": json.dumps([c.row()])}
	return c.method("frappe.desk.reportview.delete_items", **args)


def lone_put(c: Caller, kind: str) -> requests.Response:
	return c.call("PUT", f"resource/Webhook Route/{c.row()}", idx=99)


def lone_patch(c: Caller, kind: str) -> requests.Response:
	return c.call("PATCH", f"v2/document/Webhook Route/{c.row()}", event_pattern="*")


def lone_post(c: Caller, kind: str) -> requests.Response:
	return c.call("POST", "resource/Webhook Route", **_route(c))


def lone_rename(c: Caller, kind: str) -> requests.Response:
	args = {"doctype": "Webhook Route", "old_name": c.row(), "new_name": "renamed"}
	return c.method("frappe.client.rename_doc", **args)


def lone_form(c: Caller, kind: str) -> requests.Response:
	doc = frappe.get_doc("Webhook Route", c.row()).as_dict(convert_dates_to_str=True)
	doc.update({"event_pattern": "*"})
	return c.method("frappe.desk.form.save.savedocs", doc=frappe.as_json(doc), action="Save")


def import_data(c: Caller, kind: str) -> requests.Response:
	return c.call(
		"POST",
		"resource/Data Import",
		reference_doctype="Sync Settings",
		import_type="Update Existing Records",
	)


def _route(c: Caller) -> dict[str, Any]:
	row = {"doctype": "Webhook Route", "event_pattern": "*", "action": "Start Sync", "stream": c.stream}
	return {**row, "parent": c.integration, "parenttype": "Integration Settings", "parentfield": "routes"}


def rotate(c: Caller, kind: str) -> requests.Response:
	name = "integration_hub.api.rotate_webhook_secret"
	return c.method(name, integration=c.integration, secret="another-secret", drop_previous=1)


def send_test(c: Caller, kind: str) -> requests.Response:
	return c.method("integration_hub.api.send_test_webhook", integration=c.integration, payload='{"x": 1}')


# The entry points by their names on the page, the kinds of change each is tried with, and the calls that stand for it.
ENTRY_POINTS: dict[str, tuple[tuple[str, ...], tuple[EntryPoint, ...]]] = {
	"the form": (("Tune", "Decide"), (save_form,)),
	"bulk edit of a list": (("Tune", "Decide"), (bulk_edit, bulk_update)),
	"`set_value`": (("Tune", "Decide"), (set_value, set_value_of_stream)),
	"REST, v1 and v2": (("Tune", "Decide"), (put, patch)),
	"a new stream": (("Decide",), (post_stream,)),
	"deleting": (("Decide",), (delete_stream,)),
	"renaming a stream": (("Decide",), (rename,)),
	"a row of a table, through its document": (
		("Decide",),
		(
			put_order,
			row_through_set_value,
			row_moved_by_set_value,
			row_through_insert,
			row_through_insert_many,
			row_through_delete,
		),
	),
	"a row of a table, by itself": (
		("Decide",),
		(
			lone_delete,
			lone_mapping_delete,
			lone_list_delete,
			lone_put,
			lone_patch,
			lone_post,
			lone_rename,
			lone_form,
		),
	),
	"`rotate_webhook_secret`": (("Decide",), (rotate,)),
}


class TestRolesAndEntryPoints(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		for user, role in (
			("boss@example.com", "System Manager"),
			(MANAGER, "Integration Manager"),
			("viewer@example.com", "Integration Viewer"),
		):
			self.make_user(user, role)
		add_permission("Sandbox Customer", "Integration Manager")
		for kind in ("write", "create", "delete"):
			update_permission_property("Sandbox Customer", "Integration Manager", 0, kind, 1)
		self.addCleanup(self.put_back)
		self.copy_for_manager()
		frappe.db.commit()
		self.kept = {table: self.rows(table) for table in TABLES}

	def make_user(self, email: str, role: str) -> None:
		if not frappe.db.exists("User", email):
			user = {"doctype": "User", "email": email, "first_name": email, "send_welcome_email": 0}
			frappe.get_doc(user).insert()
		doc = frappe.get_doc("User", email)
		doc.roles = []
		doc.add_roles(role)
		doc.update({"api_key": frappe.scrub(role), "api_secret": "s3cret"}).save()

	def copy_for_manager(self) -> None:
		"""Make an integration and a stream like the example's, which run as the manager."""
		mine = frappe.copy_doc(frappe.get_doc("Integration Settings", "crm"))
		mine.update(
			{"integration_name": "mine", "run_as_user": MANAGER, "client_secret": "x", "webhook_secret": "y"}
		)
		mine.routes = []
		mine.insert()
		stream = frappe.copy_doc(frappe.get_doc("Sync Settings", "customers-full"))
		stream.update({"stream_name": "mine-full", "integration": "mine"}).insert()
		for pattern in ("a.*", "b.*"):
			mine.append("routes", {"event_pattern": pattern, "action": "Start Sync", "stream": "mine-full"})
		mine.save()
		crm = frappe.get_doc("Integration Settings", "crm")
		crm.append("routes", {"event_pattern": "z.*", "action": "Start Sync", "stream": "customers-cursor"})
		crm.save()
		# No route may keep a stream from being deleted here.
		for stream in ("customers-full", "mine-full"):
			frappe.db.set_value("Webhook Route", {"stream": stream}, "stream", "customers-incremental")

	def put_back(self) -> None:
		frappe.set_user("Administrator")
		reset_perms("Sandbox Customer")
		for name in ("renamed", "another", "mine-full"):
			frappe.db.delete("Sync Settings", {"name": name})
			frappe.db.delete("Sync Field Mapping", {"parent": name})
		frappe.db.commit()

	def rows(self, table: str) -> list[dict]:
		where = "WHERE `doctype` = 'Integration Settings'" if table == "__Auth" else ""
		found = frappe.db.sql(f"SELECT * FROM `{table}` {where}", as_dict=True)
		return sorted(found, key=lambda row: (row.name, row.get("fieldname") or ""))

	def has_changed(self) -> bool:
		"""Tell whether the settings are no longer what they were, and make them so again."""
		frappe.db.rollback()
		changed = [table for table in TABLES if self.rows(table) != self.kept[table]]
		for table in changed:
			where = "WHERE `doctype` = 'Integration Settings'" if table == "__Auth" else ""
			frappe.db.sql(f"DELETE FROM `{table}` {where}")
			for row in self.kept[table]:
				marks = ", ".join(["%s"] * len(row))
				columns = ", ".join(f"`{name}`" for name in row)
				frappe.db.sql(f"INSERT INTO `{table}` ({columns}) VALUES ({marks})", tuple(row.values()))
		frappe.clear_document_cache("Integration Settings", "crm")
		frappe.db.commit()
		return bool(changed)

	def test_the_table_of_the_page(self):
		page = table("| door |")
		self.assertEqual({row["door"] for row in page}, {*ENTRY_POINTS, "Data Import", "`send_test_webhook`"})
		with site_endpoint() as endpoint:
			base = endpoint.partition("/api/")[0]
			for row in page:
				for role, who in ROLES.items():
					self.try_row(Caller(base, *who), row["door"], role, row[role])

	def try_row(self, caller: Caller, name: str, role: str, cell: str) -> None:
		if name not in ENTRY_POINTS:
			call = import_data if name == "Data Import" else send_test
			answer = call(caller, "Decide")
			self.assertEqual(answer.status_code != 403, cell != "–", f"{role} at {name}: {answer.text[:500]}")
			self.has_changed()
			return
		kinds, calls = ENTRY_POINTS[name]
		for kind in kinds:
			for call in calls:
				answer = call(caller, kind)
				self.assertEqual(
					self.has_changed(),
					kind in cell,
					f"{role} at {name} ({call.__name__}): {kind}, {answer.status_code} {answer.text[:700]}",
				)


def table(head: str) -> list[dict[str, str]]:
	"""Return a table of the page, by the beginning of its first line."""
	lines = PAGE.read_text().splitlines()
	start = next(number for number, line in enumerate(lines) if line.startswith(head))
	cells = [
		[cell.strip() for cell in line.strip("|").split("|")]
		for line in lines[start : next(n for n in range(start, len(lines)) if not lines[n].strip())]
	]
	return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]
