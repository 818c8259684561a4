"""A hub.toml into a site: from the laptop where a connector was tried out to the site that runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import frappe

from integration_hub.connectors.app_code import error_text
from integration_hub.connectors.secrets import SECRET_FIELDS
from integration_hub.runtime.standalone.apply_hub_toml import child_tables
from integration_hub.runtime.standalone.hub_toml import TITLE_FIELDS, HubFile, load
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.sandbox.example import hub_toml
from integration_hub.sandbox.sender import SECRET
from integration_hub.stores.bindings import count_live
from integration_hub.stores.runtime import HubError
from integration_hub.stores.settings import stream_rows
from integration_hub.stores.stream_renames import rename_sentence

_SANDBOX = {"client_secret": CLIENT_SECRET, "webhook_secret": SECRET}


def load_into_site(runtime: Any, source: Path | None, url: str) -> Iterator[str]:
	"""Make the documents of a hub.toml, or of the example for the sandbox at `url`; say which.

	A document that exists is updated; a DocType that exists is left as it is. All or nothing.
	"""
	file, secrets = (load(source), {}) if source else (_example(url), _SANDBOX)
	said = []
	with runtime.db.transaction(), runtime.as_user("Administrator"):
		children = child_tables(file)
		for table in sorted(file.tables, key=lambda name: name not in children):  # they are linked to
			said += make_doctype(table, file.tables[table], table in children)
		# Routes name streams and streams name integrations: routes come last.
		for name, values in file.integrations.items():
			known = {field: _secret(file, name, field, values, secrets) for field in SECRET_FIELDS}
			plain = {k: v for k, v in values.items() if k not in SECRET_FIELDS and k != "routes"}
			said.append(
				save_document(
					"Integration Settings", name, {**plain, **{k: v for k, v in known.items() if v}}
				)
			)
		said += _carry_over(runtime, file)
		for name, values in file.streams.items():
			said.append(save_document("Sync Settings", name, values))
		for name, values in file.integrations.items():
			save_document("Integration Settings", name, {"routes": values["routes"]})
	yield from said
	yield f"Next: `bench --site {frappe.local.site} integration-hub sync`, or open the streams in Desk."


def _carry_over(runtime: Any, file: HubFile) -> Iterator[str]:
	"""Rename and forget streams as the file says.

	Raises HubError for a new stream that asks for the same as one that is here, and not in the file.
	"""
	for new, old in file.renamed.items():
		if frappe.db.exists("Sync Settings", old) and not frappe.db.exists("Sync Settings", new):
			frappe.rename_doc("Sync Settings", old, new, force=True, show_alert=False)
			yield f"Renamed Sync Settings {old} to {new}."
	for name in file.forgotten:
		if frappe.db.exists("Sync Settings", name):
			frappe.delete_doc("Sync Settings", name)
			yield f"Deleted Sync Settings {name}; its documents stay."
	same = ("integration", "endpoint", "target_doctype")
	here = stream_rows(runtime.db)
	for name, values in file.streams.items():
		if any(row["name"] == name for row in here):
			continue
		for row in here:
			alike = row["name"] not in file.streams and all(row[key] == values.get(key) for key in same)
			if alike and (bound := count_live(runtime.db, row["name"])):
				sentence = rename_sentence(name, row["name"], row["target_doctype"], bound)
				raise HubError(sentence, name=f"{file.name} [stream.{name}]")


def _example(url: str) -> HubFile:
	with TemporaryDirectory() as folder:
		path = Path(folder) / "hub.toml"
		path.write_text(hub_toml(url))
		return load(path)


def _secret(file: HubFile, name: str, field: str, values: Mapping, known: Mapping[str, str]) -> str | None:
	if not values.get(field):
		return None
	return known.get(field) or file.secret(name, field)


def save_document(doctype: str, name: str, values: Mapping[str, Any]) -> str:
	exists = frappe.db.exists(doctype, name)
	doc = frappe.get_doc(doctype, name) if exists else frappe.new_doc(doctype)
	doc.update({TITLE_FIELDS[doctype]: name, **values})
	try:
		doc.save() if exists else doc.insert()
	except frappe.ValidationError as error:
		raise HubError(error_text(error)) from None  # it names document and field itself
	return f"{'Updated' if exists else 'Made'} {doctype} {name}."


def make_doctype(name: str, fields: Mapping[str, Mapping[str, Any]], istable: bool) -> list[str]:
	if frappe.db.exists("DocType", name):
		return []
	rows = [{"label": frappe.unscrub(field), **row} for field, row in fields.items()]
	rows = [{**row, "in_list_view": int(number < 4)} for number, row in enumerate(rows)]
	frappe.get_doc(
		{
			"doctype": "DocType",
			"name": name,
			"module": "Custom",
			"custom": 1,
			"autoname": "hash",
			"istable": int(istable),
			"fields": rows,
			"permissions": []
			if istable
			else [{"role": "System Manager", "read": 1, "write": 1, "create": 1, "delete": 1}],
		}
	).insert()
	return [f"Made DocType {name}."]
