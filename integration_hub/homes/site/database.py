"""frappe.db as the engine's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import frappe

from integration_hub.stores.database import Params, Row


class SiteDatabase:
	"""The connection of the current request, job or command."""

	@property
	def dialect(self) -> str:
		return frappe.db.db_type

	def query(self, sql: str, params: Params = None) -> list[Row]:
		return [dict(row) for row in frappe.db.sql(sql, params or (), as_dict=True)]

	def execute(self, sql: str, params: Params = None) -> int:
		frappe.db.sql(sql, params or ())
		return frappe.db._cursor.rowcount

	@contextmanager
	def transaction(self) -> Iterator[None]:
		# What was read before belongs to an older snapshot (REPEATABLE READ): begin with a new one.
		frappe.db.commit()
		if self.dialect == "sqlite":
			# Take the write lock before reading: SQLite refuses to write from a snapshot that is no longer the
			# latest, and it refuses at once.
			frappe.db._cursor.execute("COMMIT")
			frappe.db._cursor.execute("BEGIN IMMEDIATE")
		try:
			yield
		except BaseException:
			frappe.db.rollback()
			raise
		frappe.db.commit()

	@contextmanager
	def savepoint(self) -> Iterator[None]:
		name = f"hub_{frappe.generate_hash(length=10)}"
		frappe.db.savepoint(name)
		try:
			yield
		except Exception as error:
			if not self.is_transient(error):  # a deadlock has rolled back everything, savepoints too
				frappe.db.rollback(save_point=name)
			raise
		frappe.db.release_savepoint(name)

	def is_duplicate(self, error: BaseException) -> bool:
		if isinstance(error, frappe.DuplicateEntryError | frappe.UniqueValidationError):
			return True
		return bool(error.args) and bool(frappe.db.is_duplicate_entry(error))

	def is_transient(self, error: BaseException) -> bool:
		if isinstance(error, frappe.QueryDeadlockError | frappe.QueryTimeoutError):
			return True
		# Postgres reads a snapshot, as MariaDB does, and refuses to write over what it does not show.
		return getattr(error, "pgcode", None) in ("40001", "40P01")
