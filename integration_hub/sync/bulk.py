"""Writing a page as rows: for mirror DocTypes without controllers, and for the home without Frappe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from integration_hub.stores.database import in_list, insert_many, update, upsert_many
from integration_hub.stores.home import Change, Home, Written
from integration_hub.stores.ids import new_id
from integration_hub.stores.schema import NUMERIC


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

	def _stored(self, field: str, value: Any) -> Any:
		"""Numbers are never NULL in a DocType's table."""
		return 0 if value is None and self._fieldtypes.get(field) in NUMERIC else value

	def _upsert(self, changes: Sequence[Change]) -> list[Written]:
		now, owner = self.home.now(), self.home.owner()
		written: list[Written] = []
		# Rows with the same columns, new or known, share a statement. A new row is only ever inserted: an
		# upsert would overwrite whichever row has the same value in another unique column.
		groups: dict[tuple[bool, tuple[str, ...]], list[list[Any]]] = {}
		for change in changes:
			name = change.name or new_id()
			values = (self._stored(field, value) for field, value in change.values.items())
			row = [name, *values, now, now, owner, owner]
			groups.setdefault((change.name is None, tuple(change.values)), []).append(row)
			written.append(Written(name))
		for (new, fields), group in groups.items():
			columns = ["name", *fields, "creation", "modified", "owner", "modified_by"]
			if new:
				insert_many(self.home.db, self.doctype, columns, group)
				continue
			upsert_many(
				self.home.db, self.doctype, columns, group, update=[*fields, "modified", "modified_by"]
			)
		return written


def writable(fields: Iterable[Mapping[str, Any]], no_column: frozenset[str]) -> dict[str, str]:
	"""Return {fieldname: fieldtype} of the fields that have a column."""
	return {field["fieldname"]: field["fieldtype"] for field in fields if field["fieldtype"] not in no_column}
