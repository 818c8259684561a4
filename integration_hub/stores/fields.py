"""Fields of a DocType, as far as writing needs to know them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from integration_hub.stores.doctype_tables import NO_COLUMN, TABLES

# Frappe's own (frappe.model.varchar_len and its column types); longer text needs another fieldtype.
_VARCHAR = 140
_TEXT = 65_535 // 4
_VARCHAR_TYPES = frozenset(
	{
		"Data",
		"Select",
		"Link",
		"Dynamic Link",
		"Autocomplete",
		"Phone",
		"Color",
		"Icon",
		"Password",
		"Read Only",
	}
)


@dataclass(frozen=True)
class Field:
	"""One field of a DocType. `fields` are those of a child table, if it is one."""

	kind: str
	options: str = ""
	length: int = 0
	required: bool = False
	unique: bool = False
	fields: Mapping[str, Field] = field(default_factory=dict)

	@property
	def max_length(self) -> int:
		"""Return the most characters that its column holds, 0 if that is no concern."""
		if self.kind in _VARCHAR_TYPES:
			return self.length or _VARCHAR
		return (
			_TEXT if self.kind in ("Small Text", "Text", "Attach", "Attach Image") and not self.length else 0
		)

	@property
	def choices(self) -> frozenset[str]:
		"""Return the values that a Select may hold, empty if it may hold anything."""
		return frozenset(self.options.split("\n")) if self.kind == "Select" and self.options else frozenset()


Fields = Mapping[str, Field]


def fields_of(rows: Iterable[Mapping[str, Any]], children: Mapping[str, Fields] | None = None) -> Fields:
	"""Return the fields that can be written, from rows of a DocType's field table.

	children: the fields of child tables, by their DocType.
	"""
	found = {}
	for row in rows:
		kind, options = row["fieldtype"], row.get("options") or ""
		if kind in TABLES and children is not None:
			found[row["fieldname"]] = Field(kind, options, fields=children.get(options, {}))
		elif kind not in NO_COLUMN:
			found[row["fieldname"]] = Field(
				kind, options, int(row.get("length") or 0), bool(row.get("reqd")), bool(row.get("unique"))
			)
	return found
