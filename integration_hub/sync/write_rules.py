"""Rules of what a stream writes: only what is new, only what is known, a field only once or only where it is blank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from integration_hub.stores.doctype_tables import NUMERIC
from integration_hub.stores.fields import Field, Fields
from integration_hub.stores.runtime import Change, Target
from integration_hub.sync.config import StreamConfig

CREATE_ONLY, UPDATE_ONLY = "Create Only", "Update Only"
WRITES = ("Create and Update", CREATE_ONLY, UPDATE_ONLY)
ON_CREATE, IF_BLANK = "On Create", "If Blank"
ONLY = ("", ON_CREATE, IF_BLANK)


class WriteRules:
	"""The rules of one stream."""

	def __init__(self, stream: StreamConfig, fields: Fields) -> None:
		self._stream, self._fields = stream, fields
		self._once = {row.field for row in stream.mapping if row.only == ON_CREATE}
		self._blank = sorted(row.field for row in stream.mapping if row.only == IF_BLANK)

	def skips(self, name: str | None) -> bool:
		"""Tell whether a record is skipped for having no document."""
		return not name and self._stream.writes == UPDATE_ONLY

	def values(self, name: str | None, values: dict[str, Any]) -> dict[str, Any]:
		"""Return those of a record's values that are written to a document: a new one, or the one of that name."""
		if not name:
			return values
		if self._stream.writes == CREATE_ONLY:
			return {}
		return {field: value for field, value in values.items() if field not in self._once}

	def leave_filled(self, changes: Sequence[Change], target: Target) -> None:
		"""Take out of changes what is written only where it is blank, and is not."""
		known = [change.name for change in changes if change.name] if self._blank else []
		now = target.values(known, self._blank) if known else {}
		for change in changes:
			holds = now.get(change.name or "", {})
			change.only_blank = self._blank if change.name else ()
			for field in self._blank if holds else ():
				if not is_blank(holds.get(field), self._fields[field]):
					change.values.pop(field, None)


def is_blank(value: Any, field: Field) -> bool:
	"""Tell whether a field is as it is when nobody has filled it: of a number that is 0, of a box to tick, never."""
	if value in (None, "", []):
		return True
	return field.kind in NUMERIC and field.kind != "Check" and not float(value)
