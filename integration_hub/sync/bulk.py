"""Writing a page as rows: for mirror DocTypes without controllers, and for the home without Frappe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from integration_hub.stores.database import in_list, update, upsert_many
from integration_hub.stores.home import Change, Home, Written
from integration_hub.stores.ids import new_id


class BulkTarget:
	"""Multi-row upserts into the table of one DocType.

	Skips controllers, naming, defaults, permissions and everything else a Document does.
	"""

	def __init__(self, home: Home, doctype: str, fieldtypes: Mapping[str, str]):
		self.home, self.doctype, self._fieldtypes = home, doctype, fieldtypes

	def fieldtypes(self) -> Mapping[str, str]:
		return self._fieldtypes

	def find(self, field: str, values: Sequence[Any]) -> dict[str, str]:
		marks, params = in_list(values)
		sql = f"SELECT `name`, `{field}` AS `value` FROM `tab{self.doctype}` WHERE `{field}` IN ({marks})"
		return {str(row["value"]): row["name"] for row in self.home.db.query(sql, params)}

	def write(self, changes: Sequence[Change]) -> list[Written]:
		if not changes:
			return []
		try:
			with self.home.db.savepoint():
				return self._upsert(changes)
		except Exception as error:
			if len(changes) == 1 and not self.home.db.is_transient(error):
				return [Written(None, error)]
			if self.home.db.is_transient(error):
				raise
		# One row is bad: halve until it stands alone, and keep the others.
		middle = len(changes) // 2
		return [*self.write(changes[:middle]), *self.write(changes[middle:])]

	def delete(self, name: str) -> None:
		self.home.db.execute(f"DELETE FROM `tab{self.doctype}` WHERE `name` = %s", [name])

	def set_value(self, name: str, field: str, value: Any) -> None:
		update(self.home.db, self.doctype, name, {field: value, "modified": self.home.now()})

	def _upsert(self, changes: Sequence[Change]) -> list[Written]:
		now, owner = self.home.now(), self.home.owner()
		written: list[Written] = []
		rows: dict[tuple[str, ...], list[list[Any]]] = {}
		for change in changes:
			name = change.name or new_id()
			fields = tuple(change.values)
			rows.setdefault(fields, []).append([name, *change.values.values(), now, now, owner, owner])
			written.append(Written(name))
		for fields, group in rows.items():
			columns = ["name", *fields, "creation", "modified", "owner", "modified_by"]
			upsert_many(
				self.home.db, self.doctype, columns, group, update=[*fields, "modified", "modified_by"]
			)
		return written


def writable(fields: Iterable[Mapping[str, Any]], no_column: frozenset[str]) -> dict[str, str]:
	"""Return {fieldname: fieldtype} of the fields that have a column."""
	return {field["fieldname"]: field["fieldtype"] for field in fields if field["fieldtype"] not in no_column}
