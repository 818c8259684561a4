"""Documents that cannot be deleted: submitted, or linked with others; and which these are, before anything is deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import frappe
from frappe.model import delete_doc as deleting

from integration_hub.connectors.app_code import attempt
from integration_hub.lazy_messages import _
from integration_hub.runtime.frappe.bulk_rules import code_of
from integration_hub.runtime.frappe.write_errors import explained
from integration_hub.stores.runtime import Foreseen


def kept(doctype: str, names: Sequence[str]) -> dict[str, Exception]:
	"""Return why documents cannot go: they are submitted, or others link to them. One query a place of links."""
	filters = {"name": ["in", list(names)], "docstatus": 1}
	submitted = frappe.get_all(doctype, filters=filters, pluck="name", limit_page_length=0)
	errors: dict[str, Exception] = {
		name: frappe.ValidationError(f"{doctype} {name} is submitted") for name in submitted
	}
	for name, place, other in _links(doctype, names):
		errors.setdefault(name, linked(doctype, name, place, other))
	return errors


def linked(doctype: str, name: str, place: str, other: str) -> Exception:
	"""Return the error of a document that another one links to; `place` and `other`, its DocType and name, are with it."""
	error = frappe.LinkExistsError(f"{doctype} {name} is linked with {place} {other}")
	error.linked_with = (place, other)
	return error


def _links(doctype: str, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
	"""Return which documents others link to: (name, the other one's DocType, its name), by Frappe's rules."""
	from frappe.model.rename_doc import get_link_fields  # with it comes much that a run seldom needs

	ignored = frappe.get_hooks("ignore_links_on_delete")
	for link in get_link_fields(doctype):
		place, field = link["parent"], link["fieldname"]
		if link["issingle"] or place in ignored or not frappe.db.table_exists(place):
			continue
		for row in _rows(place, field, names):
			other, owner = (row.parenttype, row.parent) if row.get("parent") else (place, row.name)
			if other not in ignored and (other, owner) != (doctype, row[field]):
				yield row[field], other, owner


def _rows(place: str, field: str, names: Sequence[str]) -> list[Any]:
	fields = ["name", field, *(("parent", "parenttype") if frappe.get_meta(place).istable else ())]
	return frappe.get_all(place, filters={field: ["in", list(names)]}, fields=fields, limit_page_length=0)


def foresee_removal(runtime: Any, doctype: str, names: Sequence[str]) -> dict[str, Foreseen]:
	"""Return what Frappe's own checks say to deleting documents, by name, and delete nothing; nothing of those that may go.

	Code of the DocType, which a deletion runs, may take links away first: then it is a doubt.
	"""
	reasons = {name: error for name in names if (error := _refused(runtime, doctype, name))}
	links = [name for name, error in reasons.items() if isinstance(error, frappe.LinkExistsError)]
	reasons |= kept(doctype, links) if links else {}
	return {name: _judged(doctype, error) for name, error in reasons.items()}


def _judged(doctype: str, error: Exception) -> Foreseen:
	if isinstance(error, frappe.LinkExistsError) and code_of(doctype):
		return Foreseen(error=error, doubt=_("It is deleted only if the code of {0} unlinks it.", doctype))
	return Foreseen(error=error)


def _refused(runtime: Any, doctype: str, name: str) -> Exception | None:
	if not frappe.db.exists(doctype, name):
		return None  # which deleting takes for deleted
	with attempt(runtime.db.is_transient) as tried, runtime.db.savepoint():
		doc = frappe.get_doc(doctype, name)
		deleting.check_permission_and_not_submitted(doc)
		deleting.check_if_doc_is_linked(doc)
		deleting.check_if_doc_is_dynamically_linked(doc)
	return explained(tried.error, doctype, name) if tried.error else None


def foreseen(errors: Mapping[str, Exception]) -> dict[str, Foreseen]:
	"""Return errors as what is foreseen."""
	return {name: Foreseen(error=error) for name, error in errors.items()}
