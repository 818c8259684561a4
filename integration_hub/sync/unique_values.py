"""Values that only one document can have, as a dry run finds them taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integration_hub.stores.fields import Fields
from integration_hub.stores.runtime import Target
from integration_hub.sync.field_values import InvalidValue


class Claims:
	"""Notes which record of a dry run would have which values; a later one cannot have them, too."""

	def __init__(self, doctype: str, fields: Fields) -> None:
		self.doctype = doctype
		self._unique = [name for name, field in fields.items() if field.unique]
		self._owners: dict[tuple[str, str], str] = {}

	def taken(
		self, external_id: str, name: str | None, values: Mapping[str, Any], eyes: Target
	) -> Exception | None:
		"""Return which value of a record another document has, or another record of the run would have.

		name: the record's own document, None for a new one.
		"""
		for field in self._unique:
			value = values.get(field)
			if value in (None, ""):
				continue
			holder = next(iter(eyes.find(field, [value]).values()), None)
			if holder not in (None, name) or not self.claim(field, value, external_id):
				return InvalidValue(f"{field}: another {self.doctype} has {value!r}")
		return None

	def claim(self, field: str, value: Any, external_id: str) -> bool:
		"""Note that a record would have a value; False if an earlier one would have it."""
		return self._owners.setdefault((field, str(value).casefold()), external_id) == external_id
