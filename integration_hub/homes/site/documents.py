"""Writing records as Documents: controllers, permissions, naming, defaults, versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import frappe

from integration_hub.homes.site.indexes import keep_name_unique
from integration_hub.stores.fields import Fields, fields_of
from integration_hub.stores.home import Change, HubError, Written
from integration_hub.stores.schema import NUMERIC, TABLES
from integration_hub.sync.bulk import BulkTarget


class DocumentTarget:
	"""Documents of one DocType, written as the current user, each undone alone if it fails."""

	at_once = 1  # a controller takes its time

	def __init__(self, home: Any, doctype: str):
		self.home, self.doctype = home, doctype

	def fields(self) -> Fields:
		return doctype_fields(self.doctype)

	def find(self, field: str, values: Sequence[Any]) -> dict[str, str]:
		rows = frappe.get_all(
			self.doctype,
			filters={field: ["in", list(values)]},
			fields=["name", field],
			order_by="creation desc",
		)
		return {str(row[field]): row["name"] for row in rows}

	def write(self, changes: Sequence[Change]) -> list[Written]:
		return [self._write(change) for change in changes]

	def _write(self, change: Change) -> Written:
		try:
			with self.home.db.savepoint():
				# No new_doc: insert sets the defaults itself, from a copy of its own.
				known = change.name and frappe.get_doc(self.doctype, change.name)
				doc = known or frappe.get_doc({"doctype": self.doctype})
				doc.update(change.values)
				doc.flags.notify_update = False  # one signal a page is enough
				doc.save() if change.name else doc.insert()
				return Written(doc.name)
		except Exception as error:
			if self.home.db.is_transient(error):
				raise
			frappe.clear_messages()  # a person reads them in the log, not in the next dialog
			return Written(None, error)
		finally:
			# Frappe empties this only on a commit, and inserts never do: it is scanned on each save.
			frappe.flags.currently_saving = []

	def values(self, names: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
		plain = [name for name, field in self.fields().items() if name in fields and not field.fields]
		rows = frappe.get_all(self.doctype, filters={"name": ["in", list(names)]}, fields=["name", *plain])
		return {row.pop("name"): row for row in rows}

	def delete(self, names: Sequence[str]) -> dict[str, Exception]:
		return self._each(names, lambda name: frappe.delete_doc(self.doctype, name, ignore_missing=True))

	def set_value(self, names: Sequence[str], field: str, value: Any) -> dict[str, Exception]:
		def work(name: str) -> None:
			doc = frappe.get_doc(self.doctype, name)
			doc.set(field, value)
			doc.save()

		return self._each(names, work)

	def _each(self, names: Sequence[str], work: Callable[[str], Any]) -> dict[str, Exception]:
		"""Do something with each document, or undo it for this one alone and return why."""
		errors: dict[str, Exception] = {}
		for name in names:
			try:
				with self.home.db.savepoint():
					work(name)
			except Exception as error:
				if self.home.db.is_transient(error):
					raise
				frappe.clear_messages()  # a person reads them in the log, not in the next dialog
				errors[name] = error
		return errors


class SiteBulkTarget(BulkTarget):
	"""Rows of one DocType, if the current user may write all of its documents."""

	def write(self, changes: Sequence[Change]) -> list[Written]:
		if refused := self._refused("create", "write") if changes else None:
			return [Written(None, refused) for _ in changes]
		if frappe.db.db_type == "sqlite" and changes:
			keep_name_unique(self.doctype)  # each time: what is rolled back takes it along
		return super().write(changes)

	def _defaults(self, fields: Sequence[str]) -> dict[str, Any]:
		if frappe.db.db_type != "sqlite":
			return {}
		# A table that Frappe has made anew has no defaults (see homes.site.indexes), and Frappe finds no NULL.
		numbers = [name for name, field in self.fields().items() if field.kind in NUMERIC]
		return {name: 0 for name in ("docstatus", "idx", *numbers) if name not in fields}

	def delete(self, names: Sequence[str]) -> dict[str, Exception]:
		refused = self._refused("delete")
		if refused:
			return dict.fromkeys(names, refused)
		kept = _kept(self.doctype, names)
		return {**kept, **super().delete([name for name in names if name not in kept])}

	def set_value(self, names: Sequence[str], field: str, value: Any) -> dict[str, Exception]:
		refused = self._refused("write")
		return dict.fromkeys(names, refused) if refused else super().set_value(names, field, value)

	def _refused(self, *kinds: str) -> Exception | None:
		for kind in kinds:
			if not frappe.has_permission(self.doctype, kind):
				return frappe.PermissionError(f"{frappe.session.user} may not {kind} {self.doctype}")
		return None


def _kept(doctype: str, names: Sequence[str]) -> dict[str, Exception]:
	"""Return why documents cannot go: they are submitted, or others link to them. One query a place of links."""
	from frappe.model.rename_doc import get_link_fields  # with it comes much that a run seldom needs

	among = ["in", list(names)]
	submitted = frappe.get_all(doctype, filters={"name": among, "docstatus": 1}, pluck="name")
	errors: dict[str, Exception] = {
		name: frappe.ValidationError(f"{doctype} {name} is submitted") for name in submitted
	}
	ignored = frappe.get_hooks("ignore_links_on_delete")
	for link in get_link_fields(doctype):
		place, field = link["parent"], link["fieldname"]
		if link["issingle"] or place in ignored or not frappe.db.table_exists(place):
			continue
		for row in frappe.get_all(place, filters={field: among}, fields=["name", field]):
			text = f"{doctype} {row[field]} is linked with {place} {row['name']}"
			errors.setdefault(row[field], frappe.LinkExistsError(text))
	return errors


def doctype_fields(doctype: str) -> Fields:
	"""Return the fields of a DocType that a stream can write; empty if the DocType does not exist.

	Raises HubError for a DocType that holds no list of documents.
	"""
	if not doctype or not frappe.db.exists("DocType", doctype):
		return {}
	meta = frappe.get_meta(doctype)
	for property, what in (("issingle", "a Single"), ("istable", "a child table"), ("is_virtual", "virtual")):
		if meta.get(property):
			raise HubError(
				f"is {what}; a stream writes to a list of documents", doctype="DocType", name=doctype
			)
	tables = {df.options for df in meta.fields if df.fieldtype in TABLES}
	children = {name: fields_of(df.as_dict() for df in frappe.get_meta(name).fields) for name in tables}
	return fields_of((df.as_dict() for df in meta.fields), children)
