"""JSON documents of the app, held against the core DocTypes that they are of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

# Every document has these, whatever its DocType.
STANDARD = frozenset(
	[
		"name",
		"owner",
		"creation",
		"modified",
		"modified_by",
		"docstatus",
		"idx",
		"doctype",
		"parent",
		"parentfield",
		"parenttype",
		"__islocal",
		"__unsaved",
		"_user_tags",
		"_comments",
		"_assign",
		"_liked_by",
		"_seen",
		"naming_series",
	]
)
_OF_A_DOCTYPE = frozenset(
	{"field_order", "creation", "__onload"}
)  # written beside what DocType's own fields hold


class DocTypes:
	"""The DocTypes defined by JSON files below some folders."""

	def __init__(self, *folders: Path):
		self.folders = folders

	@cached_property
	def files(self) -> dict[str, Path]:
		found = (file for folder in self.folders for file in folder.rglob("doctype/*/*.json"))
		return {file.stem: file for file in found if file.stem == file.parent.name}

	def get(self, name: str) -> dict[str, Any] | None:
		"""Return a DocType's fields by name, None if there is no such DocType."""
		file = self.files.get(name.lower().replace(" ", "_").replace("-", "_"))
		if not file:
			return None
		doctype = json.loads(file.read_text())
		return {row["fieldname"]: row for row in doctype.get("fields", []) if row.get("fieldname")}

	def lacks(self, name: str, fields: tuple[str, ...]) -> list[str]:
		"""Return those of some names that are no columns of a DocType which is known here."""
		known = self.get(name)
		if known is None:
			return []
		return [f for f in fields if f.isidentifier() and f not in known and f not in STANDARD]


def documents(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
	"""Return the documents that stand in JSON files: those that say of which DocType they are."""
	for file in sorted(folder.rglob("*.json")):
		held = json.loads(file.read_text())
		for document in held if isinstance(held, list) else [held]:
			if isinstance(document, dict) and document.get("doctype"):
				yield file, document


def problems(document: dict[str, Any], core: DocTypes) -> Iterator[str]:
	"""Say which values of a document its DocType would refuse, and which it would be left without.

	Frappe fills in no defaults as it imports a file: what one leaves out is nothing, not the default.
	"""
	if document["doctype"] != "DocType":
		yield from (
			f"{key} is left out, and would be {row['default']!r} by default"
			for key, row in (core.get(document["doctype"]) or {}).items()
			if row.get("default") not in (None, "", "0") and key not in document
		)
	for fields, key, value in _values(document, core):
		row = fields.get(key, {})
		options = row.get("options") if row.get("fieldtype") == "Select" else None
		if options and value and str(value) not in options.split("\n"):
			yield f"{key} knows no {value!r}"


def unknown(document: dict[str, Any], core: DocTypes) -> Iterator[str]:
	"""Say what of a document its DocType does not know, and so does without."""
	if core.get(document["doctype"]) is None:
		yield f"there is no {document['doctype']}"
	names = {key for fields, key, _ in _values(document, core) if key not in fields}
	if names := sorted(names - STANDARD - _OF_A_DOCTYPE):
		yield f"{document['doctype']} has no {', '.join(names)}"


def _values(document: dict[str, Any], core: DocTypes) -> Iterator[tuple[dict[str, Any], str, Any]]:
	"""Return each value of a document and of its rows, with the fields of what holds it."""
	fields = core.get(document["doctype"])
	if fields is None:
		return
	for key, value in document.items():
		yield fields, key, value
		table = fields.get(key, {})
		if isinstance(value, list) and table.get("fieldtype") in ("Table", "Table MultiSelect"):
			for row in value:
				yield from _values({**row, "doctype": table["options"]}, core)
