"""One SQLite file as the engine's database."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from integration_hub.stores.database import Params, Row
from integration_hub.stores.doctype_tables import columns, create_statements, doctypes
from integration_hub.stores.private_files import make_file

_NAMED = re.compile(r"%\((\w+)\)s")
BUSY_SECONDS = 30.0


class SQLiteDatabase:
	"""A connection of one thread. Writers queue for each other; readers never wait (WAL)."""

	dialect = "sqlite"
	broken = False
	row_lock = ""  # a transaction that writes has the whole file

	def __init__(self, path: Path | str, busy_seconds: float = BUSY_SECONDS) -> None:
		if str(path) != ":memory:":
			make_file(Path(path))  # SQLite gives what stands beside it the same mode
		self._connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
		self._connection.row_factory = sqlite3.Row
		self._connection.execute("PRAGMA journal_mode = WAL")
		# A commit is on disk before an event is acknowledged.
		self._connection.execute("PRAGMA synchronous = FULL")
		self._savepoints = count()
		self._watchers: list[tuple[Callable[[], None], Callable[[], None]]] = []

	def close(self) -> None:
		"""Close the connection."""
		self._connection.close()

	def create_tables(self) -> None:
		"""Create the engine's tables, where they are missing, and add columns that an earlier version did not have."""
		for doctype in doctypes().values():
			table, *indexes = create_statements(doctype)
			self._connection.execute(table)
			if self._missing_columns(doctype):
				self._add_columns(doctype)
			for statement in indexes:
				self._connection.execute(statement)

	def _missing_columns(self, doctype: Mapping[str, Any]) -> dict[str, str]:
		present = {row["name"] for row in self.query(f"PRAGMA table_info(`tab{doctype['name']}`)")}
		return {name: kind for name, kind in columns(doctype).items() if name not in present}

	def _add_columns(self, doctype: Mapping[str, Any]) -> None:
		with self.transaction():  # another process may be about to do the same
			for name, kind in self._missing_columns(doctype).items():
				self._connection.execute(f"ALTER TABLE `tab{doctype['name']}` ADD COLUMN `{name}` {kind}")

	@property
	def version(self) -> int:
		"""Return the number of the last migration of the file's rows; 0 for a new file."""
		return self.query("PRAGMA user_version")[0]["user_version"]

	@version.setter
	def version(self, number: int) -> None:
		"""Write the number of the last migration into the file."""
		self._connection.execute(f"PRAGMA user_version = {int(number)}")

	def query(self, sql: str, params: Params = None) -> list[Row]:
		"""Return the rows of a SELECT as dictionaries."""
		return [dict(row) for row in self._run(sql, params)]

	def execute(self, sql: str, params: Params = None) -> int:
		"""Run a statement; return the number of rows it changed."""
		return self._run(sql, params).rowcount

	@contextmanager
	def transaction(self) -> Iterator[None]:
		"""Take the write lock, and commit at the end of the block or roll back."""
		# IMMEDIATE: take the write lock before reading, so that what was read is still true at the write.
		self._connection.execute("BEGIN IMMEDIATE")
		self._watchers.clear()
		try:
			yield
			for before_commit, _ in self._watchers:
				before_commit()
		except BaseException:
			self._connection.execute("ROLLBACK")
			for _, after_rollback in self._watchers:
				after_rollback()
			raise
		self._connection.execute("COMMIT")

	def watch(self, before_commit: Callable[[], None], after_rollback: Callable[[], None]) -> None:
		"""Have one of the two called at the end of the current transaction."""
		self._watchers.append((before_commit, after_rollback))

	@contextmanager
	def savepoint(self) -> Iterator[None]:
		"""Undo only the block, and re-raise, if it raises."""
		name = f"sp_{next(self._savepoints)}"
		self._connection.execute(f"SAVEPOINT {name}")
		try:
			yield
		except BaseException:
			self._connection.execute(f"ROLLBACK TO {name}")
			self._connection.execute(f"RELEASE {name}")
			raise
		self._connection.execute(f"RELEASE {name}")

	errors = (sqlite3.Error,)

	def is_duplicate(self, error: BaseException) -> bool:
		"""Tell whether an error is a violated unique key."""
		return isinstance(error, sqlite3.IntegrityError) and "UNIQUE" in str(error)

	def is_transient(self, error: BaseException) -> bool:
		"""Tell whether another connection held the lock for too long."""
		return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)

	def recover(self, error: BaseException) -> None:
		"""Do nothing: a file does not go away."""

	def _run(self, sql: str, params: Params) -> sqlite3.Cursor:
		if isinstance(params, Mapping):
			return self._connection.execute(_NAMED.sub(r":\1", sql), params)
		return self._connection.execute(sql.replace("%s", "?"), params or ())
