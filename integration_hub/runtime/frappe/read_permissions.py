"""Read permissions of a user on what is sent: the document, and permission levels of its fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import frappe

from integration_hub.runtime.frappe.write_permissions import level_sentence, refused, refused_levels
from integration_hub.stores.runtime import ReadRefused


def check_read(doctype: str, document: Mapping[str, Any], paths: Iterable[str], user: str) -> None:
	"""Raise ReadRefused unless a user may read a document, given by its values, and fields of it."""
	if user == "Administrator":
		return
	if error := refused(frappe.get_doc({**document, "doctype": doctype}), "read", user):
		raise ReadRefused(str(error))
	for path, level in refused_levels(doctype, paths, user, "read"):
		raise ReadRefused(level_sentence(doctype, path, level, user, "read"))
