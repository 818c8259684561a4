"""Field and document permissions of the person who looks.

A dry run looks documents up by values that come from outside, or from the mapping: who chooses them would learn from its
answer what stands in documents. So it looks with the eyes of the person who looks, and not with the integration's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import frappe
from frappe import _
from frappe.model import get_permitted_fields

from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.read_permissions import check_read
from integration_hub.stores.doctype_tables import TABLES
from integration_hub.stores.runtime import Change, Foreseen, Target


class ViewerRuntime(FrappeRuntime):
	"""The site as the person sees it who is logged in: for what only looks.

	acts: what an integration does is done as its Run As User all the same, and undone; only what it finds is the person's.
	"""

	def __init__(self, acts: bool = False) -> None:
		super().__init__()
		self._person, self._acts = frappe.session.user, acts

	def target(self, doctype: str, mode: str, as_is: Iterable[str] = ()) -> Target:
		"""Return a target that shows only the fields the person may read."""
		return _SeenTarget(super().target(doctype, mode, as_is), self._person)

	def seen(self, doctype: str, names: set[str]) -> set[str]:
		"""Return those of some documents that the person may read."""
		if not (names and frappe.has_permission(doctype, "read", user=self._person)):
			return set()
		return {row["name"] for row in _listed(doctype, "name", sorted(names), ["name"], self._person)}

	def check_read(
		self, integration: str, doctype: str, document: Mapping[str, Any], paths: Sequence[str]
	) -> None:
		"""Raise ReadRefused also where the person who looks may not read it."""
		super().check_read(integration, doctype, document, paths)
		check_read(doctype, document, paths, self._person)

	@contextmanager
	def as_user(self, user: str) -> Iterator[None]:
		"""Do the block as `user` if the person acts, else as the person, who only looks."""
		with super().as_user(user if self._acts else self._person):
			yield


class _SeenTarget:
	"""A target in which a person finds the documents and values that they may read."""

	def __init__(self, target: Target, person: str) -> None:
		self._target, self._person = target, person

	def __getattr__(self, name: str) -> Any:
		return getattr(self._target, name)

	def find(self, field: str, values: Sequence[Any]) -> dict[str, str]:
		check_readable(self._target.doctype, field, self._person)
		fields = list(dict.fromkeys(("name", field)))
		rows = _listed(self._target.doctype, field, values, fields, self._person)
		return {str(row[field]): row["name"] for row in rows}

	def foresee(self, changes: Sequence[Change], eyes: Target, user: str) -> list[Foreseen]:
		return self._target.foresee(changes, _Blinking(self), user)

	def foresee_removal(self, names: Sequence[str], user: str) -> dict[str, Foreseen]:
		found = self._target.foresee_removal(names, user)
		for one in found.values():
			linked = getattr(one.error, "linked_with", None)
			if isinstance(one.error, frappe.LinkExistsError) and not self._sees(linked):
				one.error = frappe.LinkExistsError(_("Other documents link to it."))
		return found

	def _sees(self, linked: tuple[str, str] | None) -> bool:
		"""Tell whether the person may read a document that links to another one: (DocType, name), None if it is unknown."""
		return bool(linked) and bool(frappe.has_permission(linked[0], "read", linked[1], user=self._person))

	def existing(self, doctype: str, names: Sequence[str]) -> set[str]:
		if not frappe.has_permission(doctype, "read", user=self._person):
			return set(names)  # nothing is said of them
		return {row["name"] for row in _listed(doctype, "name", names, ["name"], self._person)}


class _Blinking:
	"""A person's eyes on what other documents hold: where they may not read, there is nothing to be told."""

	def __init__(self, seen: _SeenTarget) -> None:
		self.existing, self._seen = seen.existing, seen

	def find(self, field: str, values: Sequence[Any]) -> dict[str, str]:
		try:
			return self._seen.find(field, values)
		except frappe.PermissionError:
			frappe.clear_messages()
			return {}


def _listed(doctype: str, field: str, values: Sequence[Any], fields: list[str], person: str) -> list[Any]:
	return frappe.get_list(
		doctype,
		filters={field: ["in", list(values)]},
		fields=fields,
		order_by="creation desc",
		limit_page_length=0,
		user=person,
	)


def check_readable(doctype: str, field: str, person: str) -> None:
	"""Raise PermissionError unless a person may read a field of a DocType, at least in some of its documents."""
	frappe.has_permission(doctype, "read", user=person, throw=True)
	if field not in readable_fields(doctype, person):
		label = _(frappe.get_meta(doctype).get_label(field))
		frappe.throw(
			_("Documents are looked up by {0} of {1}, which you may not read.").format(label, _(doctype)),
			frappe.PermissionError,
		)


def readable_fields(doctype: str, person: str | None = None) -> set[str]:
	"""Return the fields of a DocType that a person may read: the user, if nobody is named."""
	tables = {df.fieldname for df in frappe.get_meta(doctype).get_table_fields()}
	return set(get_permitted_fields(doctype, user=person or frappe.session.user)) | tables


def seen(found: dict[str, Any], doctype: str) -> dict[str, Any]:
	"""Return a dry run (sync.dry_runs.DryRun as a dict) as far as the user may see it: it shows what stands in documents."""
	fields = readable_fields(doctype)
	return {**found, "sample": [_difference(one, doctype, fields) for one in found["sample"]]}


def mapped(records: list[dict[str, Any]], doctype: str) -> list[dict[str, Any]]:
	"""Return a preview's records (see sync.dry_runs.preview) without the fields that the user may not read."""
	fields = readable_fields(doctype)
	return [
		{
			**one,
			"values": {field: value for field, value in one["values"].items() if field in fields},
			"error": _told(one["error"], doctype, fields),
		}
		for one in records
	]


def _difference(one: dict[str, Any], doctype: str, fields: set[str]) -> dict[str, Any]:
	if one["name"] and not _may_read(doctype, one["name"]):
		return {**one, "name": "", "changes": {}, "error": _("You may not read this document.")}
	changes = readable_changes(doctype, one["changes"], fields)
	return {**one, "changes": changes, "error": _told(one["error"], doctype, fields)}


def readable_changes(doctype: str, changes: Mapping[str, Sequence[Any]], fields: set[str]) -> dict[str, Any]:
	"""Return what would change in the fields, and the columns of child tables, that the user may read.

	changes: {field: (now, then)}; fields: those of the DocType that they may read.
	"""
	found = {}
	for field, pair in changes.items():
		df = frappe.get_meta(doctype).get_field(field)
		if df and df.fieldtype in TABLES:
			inner = set(get_permitted_fields(df.options, parenttype=doctype, user=frappe.session.user))
			rows = [[{k: v for k, v in row.items() if k in inner} for row in side or ()] for side in pair]
			found[field] = rows
		elif field in fields:
			found[field] = pair
	return found


def _told(error: str, doctype: str, fields: set[str]) -> str:
	"""Return why a record fails, without the value of a field that the user may not read: it begins with the field."""
	field = error.partition(":")[0].partition(".")[0].strip()
	if field in fields or not frappe.get_meta(doctype).has_field(field):
		return error
	reason = _(
		"You may not read this field."
	)  # apart: what stands within an f-string is not found for translation
	return f"{field}: {reason}"


def _may_read(doctype: str, name: str) -> bool:
	return bool(frappe.db.exists(doctype, name)) and bool(frappe.has_permission(doctype, "read", name))
