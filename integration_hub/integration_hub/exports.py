"""Exports of this app's own DocTypes: what external systems wrote into them is text in a spreadsheet, no formula."""

from __future__ import annotations

import json
from collections.abc import Iterator

import frappe
from werkzeug import Request, Response

from integration_hub.spreadsheets import csv_as_text, xlsx_as_text

_MODULE = "Integration Hub"


def finish(request: Request, response: Response | None) -> None:
	"""Make an exported table of this app's DocTypes text, whatever made it; one that cannot be is not handed out."""
	kind = _kind(response) if response is not None else ""
	if not (kind and any(is_ours(doctype) for doctype in _doctypes())):
		return
	try:
		response.data = as_text(response.data, kind, frappe.form_dict.get("csv_delimiter") or ",")
	except (
		Exception
	):  # the boundary of an export: Frappe would log what is raised here, and hand out the table as it is
		response.data, response.status_code = b"", 500
		raise


def as_text(table: bytes | str, kind: str, delimiter: str = ",") -> bytes | str:
	"""Return a table, csv or xlsx, whose cells are text; of the type that it came in."""
	if kind == "xlsx":
		return xlsx_as_text(table)
	if isinstance(table, str):
		return csv_as_text(table, delimiter[:1])
	return csv_as_text(table.decode("utf-8"), delimiter[:1]).encode()


def _kind(response: Response) -> str:
	"""Return csv or xlsx, "" for another answer."""
	if response.is_streamed or response.direct_passthrough:
		return ""
	name = response.headers.get("Content-Disposition", "").strip().rstrip('";').lower()
	if name.endswith((".xlsx", ".csv")):
		return name.rpartition(".")[2]
	return "csv" if response.mimetype == "text/csv" else ""


def _doctypes() -> Iterator[str]:
	"""Return the DocTypes that a request names, and those of the reports that it names."""
	given = frappe.form_dict
	for field in ("doctype", "parent_doctype", "select_columns", "ref_doctype"):
		yield from _names(given.get(field))
	reports = [given.get("report_name")]
	if "auto_email_report" in str(given.get("cmd") or frappe.request.path):
		reports.append(frappe.db.get_value("Auto Email Report", given.get("name"), "report"))
	for report in filter(None, reports):
		yield frappe.db.get_value("Report", str(report), "ref_doctype") or ""


def _names(value: object) -> Iterator[str]:
	"""Return the names in a value: a name, or a list or an object in JSON."""
	try:
		read = json.loads(value) if isinstance(value, str) else value
	except ValueError:
		read = value
	yield from map(str, read) if isinstance(read, list | dict) else [str(read or "")]


def is_ours(doctype: str | None) -> bool:
	"""Tell whether a DocType is one of this app's."""
	return bool(doctype) and frappe.db.get_value("DocType", doctype, "module", cache=True) == _MODULE
