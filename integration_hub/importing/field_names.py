"""Names of fields, tables and streams for what others call as they like."""

from __future__ import annotations

import re
from collections.abc import Collection

from integration_hub.stores.doctype_tables import KEPT_COLUMNS

# Names that Frappe keeps for itself, beside the columns of each document.
_KEPT = KEPT_COLUMNS | {
	"doctype",
	"flags",
	"meta",
	"parent_doc",
	"get",
	"set",
	"save",
	"insert",
	"as_dict",
	"key",
}
_LONGEST = 60  # as Frappe has it for fields and DocTypes


def field_name(name: str, taken: Collection[str] = ()) -> str:
	"""Return a field's name that Frappe takes, unlike those that are taken."""
	text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
	text = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:_LONGEST] or "field"
	if text[0].isdigit():
		text = f"n_{text}"
	if text in _KEPT:
		text = f"{text}_"[:_LONGEST] + "value"
	return _unlike(text, taken, "_")


def table_name(integration: str, stream: str, taken: Collection[str] = ()) -> str:
	"""Return a DocType's name for a stream."""
	return _unlike(f"{_title(integration)} {_title(stream)}"[:_LONGEST].strip(), taken, " ")


def stream_name(integration: str, stream: str, taken: Collection[str] = ()) -> str:
	"""Return a stream's name."""
	return _unlike(f"{integration}-{slug(stream)}"[:_LONGEST].strip("-"), taken, "-")


def slug(text: str) -> str:
	"""Return a text as lower-case words with hyphens between."""
	return (
		re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text).lower()).strip("-")
		or "stream"
	)


def _title(text: str) -> str:
	return " ".join(word.capitalize() for word in slug(text).split("-"))


def _unlike(text: str, taken: Collection[str], separator: str) -> str:
	number, name = 1, text
	while name in taken:
		number += 1
		end = f"{separator}{number}"
		name = text[: _LONGEST - len(end)] + end
	return name
