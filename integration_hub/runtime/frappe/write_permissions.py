"""Write permissions of a user on a DocType: permission levels, and documents one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import frappe
from frappe.core.doctype.user_permission.user_permission import get_user_permissions
from frappe.model.document import Document
from frappe.permissions import get_role_permissions


def refused_levels(
	doctype: str, paths: Iterable[str], user: str = "", kind: str = "write"
) -> Iterator[tuple[str, int]]:
	"""Return the fields, with their permission levels, that a user may not write, or read; a child table's are `table.field`.

	Frappe puts what such a field held before in place of what is saved, and does not say so.
	user: the current one, if empty.
	"""
	user = user or frappe.session.user
	if user == "Administrator":
		return
	meta = frappe.get_meta(doctype)
	levels = [(path, level) for path in dict.fromkeys(paths) for level in _levels(doctype, path) if level]
	if not levels:
		return
	roles = set(frappe.get_roles(user))
	allowed = {p.permlevel for p in meta.permissions if p.get(kind) and p.role in roles}
	yield from ((path, level) for path, level in levels if level not in allowed)


def refuse_levels(doc: Document, paths: Iterable[str]) -> None:
	"""Raise PermissionError for a field that the current user may not write."""
	for path, level in refused_levels(doc.doctype, paths):
		raise frappe.PermissionError(level_sentence(doc.doctype, path, level, frappe.session.user))


def level_sentence(doctype: str, path: str, level: int, user: str, kind: str = "write") -> str:
	"""Return why a user may not write, or read, a field: its permission level."""
	return f"{path} of {doctype} has permission level {level}, which {user} may not {kind}"


def _levels(doctype: str, path: str) -> Iterator[int]:
	"""Return the permission levels that a field takes: a table's own among them."""
	name, _, child = path.partition(".")
	df = frappe.get_meta(doctype).get_field(name)
	yield (df and df.permlevel) or 0
	if df and child:
		inner = frappe.get_meta(df.options).get_field(child)
		yield (inner and inner.permlevel) or 0


def depends_on_document(doctype: str, kind: str) -> bool:
	"""Tell whether the current user may do something (create, write, delete) with some documents and not with others."""
	user = frappe.session.user
	if user == "Administrator":
		return False
	hooks = frappe.get_hooks("has_permission")
	if hooks.get(doctype) or hooks.get("*") or get_user_permissions(user):
		return True
	return not get_role_permissions(frappe.get_meta(doctype), user=user).get(kind)


def refused(doc: Document, kind: str, user: str = "") -> Exception | None:
	"""Return why a user, the current one if none is given, may not do something with a document, None if they may."""
	user = user or frappe.session.user
	if frappe.has_permission(doc.doctype, kind, doc=doc, user=user):
		return None
	name = doc.name or "(new)"
	return frappe.PermissionError(f"{user} may not {kind} {doc.doctype} {name}: roles, or User Permissions")
