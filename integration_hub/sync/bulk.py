"""Writing a page as rows: for mirror DocTypes without controllers, and for the runtime without Frappe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integration_hub.connectors.app_code import attempt
from integration_hub.lazy_messages import _
from integration_hub.stores.database import in_list, insert_many, upsert_many
from integration_hub.stores.doctype_tables import NUMERIC
from integration_hub.stores.fields import Field, Fields
from integration_hub.stores.ids import new_id, new_ids
from integration_hub.stores.runtime import Change, Foreseen, HubError, Runtime, Target, Written
from integration_hub.stores.settings import existing_names
from integration_hub.sync.after_writing import NO_DOCUMENTS
from integration_hub.sync.bulk_validation import invalid
from integration_hub.sync.compare import differences
from integration_hub.sync.unique_values import Claims


class BulkTarget:
	"""Multi-row upserts into the table of one DocType.

	Checks what the fields say: lengths, options, numbers, dates, required, links. Skips controllers, naming,
	defaults, permissions and everything else a Document does.
	"""

	at_once = 1000

	def __init__(self, runtime: Runtime, doctype: str, fields: Fields) -> None:
		self.runtime, self.doctype, self._fields = runtime, doctype, fields
		self._tables = {name: field for name, field in fields.items() if field.fields}
		self._claims = Claims(doctype, fields)

	def fields(self) -> Fields:
		"""Return the fields that can be written."""
		return self._fields

	def find(self, field: str, values: Sequence[Any]) -> dict[str, str]:
		"""Return {value: name} of the rows with one of `values`; raises HubError for an unknown field."""
		if field != "name" and field not in self._fields:
			raise HubError(_("there is no such field"), doctype=self.doctype, field=field)
		marks, params = in_list(values)
		sql = f"SELECT `name`, `{field}` AS `value` FROM `tab{self.doctype}` WHERE `{field}` IN ({marks})"
		return {str(row["value"]): row["name"] for row in self.runtime.db.query(sql, params)}

	def values(self, names: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
		"""Return what rows hold now, by name, with the rows of child tables."""
		plain = [name for name in fields if name not in self._tables]
		marks, params = in_list(names)
		columns = ", ".join(f"`{name}`" for name in ("name", *plain))
		sql = f"SELECT {columns} FROM `tab{self.doctype}` WHERE `name` IN ({marks})"
		found = {row.pop("name"): row for row in self.runtime.db.query(sql, params)}
		for table in self._tables.keys() & set(fields):
			self._add_children(table, found)
		return found

	def _add_children(self, table: str, found: Mapping[str, dict[str, Any]]) -> None:
		"""Add to what documents hold the rows of a child table."""
		field = self._tables[table]
		for row in found.values():
			row[table] = []
		marks, names = in_list(list(found))
		columns = ", ".join(f"`{name}`" for name in ("parent", *field.fields))
		sql = f"""SELECT {columns} FROM `tab{field.options}`
			WHERE `parent` IN ({marks}) AND `parenttype` = %s AND `parentfield` = %s ORDER BY `idx`"""
		for child in self.runtime.db.query(sql, [*names, self.doctype, table]) if found else ():
			found[child.pop("parent")][table].append(child)

	def foresee(self, changes: Sequence[Change], eyes: Target, user: str) -> list[Foreseen]:
		"""Return the differences that `write` would make, and the errors it would meet."""
		wrong = invalid(changes, self._fields, eyes.existing)
		known = [change.name for change in changes if change.name]
		fields = list(dict.fromkeys(field for change in changes for field in change.values))
		now = self.values(known, fields) if known else {}
		found = []
		for number, change in enumerate(changes):
			changed = differences(now.get(change.name or "", {}), change.values, self._fields)
			error = wrong.get(number) or self._claims.taken(
				change.external_id, change.name, change.values, eyes
			)
			found.append(Foreseen(changed, error))
		return found

	def foresee_removal(self, names: Sequence[str], user: str) -> dict[str, Foreseen]:
		"""Return {}: nothing keeps a row."""
		return {}

	def unforeseen(self) -> str:
		"""Return "": rows are written without code of others."""
		return ""

	def write(self, changes: Sequence[Change]) -> list[Written]:
		"""Write the valid changes in few statements; one outcome a change, in order."""
		if not changes:
			return []
		wrong = invalid(changes, self._fields, self.existing)
		if not wrong:
			return self._write(changes)
		good = iter(self._write([change for n, change in enumerate(changes) if n not in wrong]))
		return [Written(None, wrong[n]) if n in wrong else next(good) for n in range(len(changes))]

	def existing(self, doctype: str, names: Sequence[str]) -> set[str]:
		"""Return those of `names` that a DocType has, for links to them."""
		return existing_names(self.runtime.db, doctype, names)

	def submit_problem(self) -> str:
		"""Return why rows are not submitted."""
		return NO_DOCUMENTS

	def mapper_problem(self, mapper: str) -> str:
		"""Return why rows are not made from documents."""
		return NO_DOCUMENTS

	def cancel(self, names: Sequence[str]) -> dict[str, Exception]:
		"""Return an error for each: rows are not cancelled."""
		return {name: HubError(self.submit_problem(), doctype=self.doctype) for name in names}

	def delete(self, names: Sequence[str]) -> dict[str, Exception]:
		"""Delete rows and their child rows in one statement each; return the errors by name."""

		def work() -> None:
			marks, values = in_list(names)
			self._delete_children(names)
			self.runtime.db.execute(f"DELETE FROM `tab{self.doctype}` WHERE `name` IN ({marks})", values)

		return self._all_or_errors(names, work)

	def set_value(self, names: Sequence[str], field: str, value: Any) -> dict[str, Exception]:
		"""Set one field of rows in one statement; return the errors by name."""

		def work() -> None:
			marks, values = in_list(names)
			self.runtime.db.execute(
				f"UPDATE `tab{self.doctype}` SET `{field}` = %s, `modified` = %s WHERE `name` IN ({marks})",
				[value, self.runtime.now(), *values],
			)

		return self._all_or_errors(names, work)

	def _all_or_errors(self, names: Sequence[str], work: Any) -> dict[str, Exception]:
		if not names:
			return {}
		with attempt(self.runtime.db.is_transient) as tried, self.runtime.db.savepoint():
			work()
		return dict.fromkeys(names, tried.error) if tried.error else {}

	def _write(self, changes: Sequence[Change]) -> list[Written]:
		if not changes:
			return []
		with attempt(self.runtime.db.is_transient) as tried, self.runtime.db.savepoint():
			return self._upsert(changes)
		if len(changes) == 1:
			return [Written(None, tried.error)]
		# One row is bad: halve until it stands alone, and keep the others.
		middle = len(changes) // 2
		return [*self._write(changes[:middle]), *self._write(changes[middle:])]

	def _upsert(self, changes: Sequence[Change]) -> list[Written]:
		# Rows with the same columns, new or known, share a statement. A new row is only ever inserted: an
		# upsert would overwrite whichever row has the same value in another unique column.
		groups: dict[tuple[bool, tuple[str, ...]], list[tuple[str, Mapping[str, Any]]]] = {}
		written: list[Written] = []
		new = iter(new_ids(sum(change.name is None for change in changes)))
		for change in changes:
			name = change.name or next(new)
			written.append(Written(name, same=not change.values and change.name is not None))
			if written[-1].same:
				continue
			key = (change.name is None, tuple(change.values))
			groups.setdefault(key, []).append((name, change.values))
		for (new, fields), rows in groups.items():
			self._write_rows(new, [field for field in fields if field not in self._tables], rows)
			for table in self._tables.keys() & set(fields):
				self._write_children(table, new, rows)
		return written

	def _write_rows(
		self, new: bool, fields: Sequence[str], rows: Sequence[tuple[str, Mapping[str, Any]]]
	) -> None:
		columns = ["name", *fields]
		table = [(name, *_stored(values, fields, self._fields)) for name, values in rows]
		if new:
			insert_many(
				self.runtime.db, self.doctype, columns, table, {**self._stamps(), **self._defaults(fields)}
			)
			return
		update = [*fields, "modified", "modified_by"]
		upsert_many(self.runtime.db, self.doctype, columns, table, update=update, same=self._stamps())

	def _write_children(self, table: str, new: bool, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
		"""Put a child table's rows in place of those that are there."""
		field = self._tables[table]
		if not new:
			self._delete_children([name for name, _ in rows], table)
		fields = list(next((child for _, values in rows for child in values[table]), ()))
		children = [
			(new_id(), name, number, *_stored(child, fields, field.fields))
			for name, values in rows
			for number, child in enumerate(values[table], 1)
		]
		same = {**self._stamps(), "parenttype": self.doctype, "parentfield": table}
		insert_many(self.runtime.db, field.options, ["name", "parent", "idx", *fields], children, same)

	def _delete_children(self, names: Sequence[str], table: str | None = None) -> None:
		marks, values = in_list(names)
		for name, field in self._tables.items():
			if table in (None, name):
				self.runtime.db.execute(
					f"""DELETE FROM `tab{field.options}`
						WHERE `parent` IN ({marks}) AND `parenttype` = %s AND `parentfield` = %s""",
					[*values, self.doctype, name],
				)

	def _defaults(self, fields: Sequence[str]) -> dict[str, Any]:
		"""Return what a new row has in the columns beside `fields` and the stamps, where the table does not say so."""
		return {}

	def _stamps(self) -> dict[str, Any]:
		now, owner = self.runtime.now(), self.runtime.owner()
		return {"creation": now, "modified": now, "owner": owner, "modified_by": owner}


def _stored(values: Mapping[str, Any], names: Sequence[str], fields: Mapping[str, Field]) -> list[Any]:
	"""Return the values of `names` as the columns take them: numbers are never NULL in a DocType's table."""
	stored = [values[name] for name in names]
	for place, name in enumerate(names):
		if fields[name].kind in NUMERIC:
			if stored[place] is None:
				stored[place] = 0
			elif stored[place].__class__ is bool:  # Postgres has a type of its own for those
				stored[place] = int(stored[place])
	return stored
