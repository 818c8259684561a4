"""frappe.db as the engine's database."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import cache, partial
from itertools import count
from typing import Any

import frappe

from integration_hub.runtime.frappe.locks import renew_locks
from integration_hub.stores.database import Params, Row

# What MariaDB's clients and server say of a connection that is no more: gone away, lost during a query, killed,
# server shutting down, cannot connect. https://mariadb.com/kb/en/mariadb-error-codes/
_LOST = frozenset({1053, 1927, 2002, 2003, 2006, 2013, 2055, 4031})
_NAMED = re.compile(r"%\((\w+)\)s")
_LARGE = 10_000  # characters
_numbers = count()
_PAUSES = (0.0, 0.2, 0.5, 1, 2, 4, 8, 15)  # seconds between attempts to connect: a restart takes that long


class FrappeDatabase:
	"""The connection of the current request, job or command."""

	def __init__(self) -> None:
		self.broken = False

	@property
	def dialect(self) -> str:
		"""Return the site's database: mariadb, postgres or sqlite."""
		return frappe.db.db_type

	@property
	def row_lock(self) -> str:
		"""Return the locking clause that the site's database supports, "" for SQLite."""
		if self.dialect == "mariadb":
			return _mariadb_row_lock()
		return "" if self.dialect == "sqlite" else "FOR UPDATE SKIP LOCKED"

	def query(self, sql: str, params: Params = None) -> list[Row]:
		"""Return the rows of a SELECT as dictionaries."""
		rows = frappe.db.sql(*self._bound(sql, params))
		names = [column[0] for column in frappe.db._cursor.description]
		return [dict(zip(names, row, strict=True)) for row in rows]

	def execute(self, sql: str, params: Params = None) -> int:
		"""Run a statement; return the number of rows it matched or changed."""
		if self.dialect == "mariadb" and len(sql) > _LARGE:
			# frappe.db reads a statement several times before it sends it.
			frappe.db._cursor.execute(sql, params)
		else:
			frappe.db.sql(*self._bound(sql, params))
		return frappe.db._cursor.rowcount

	def _bound(self, sql: str, params: Params) -> tuple[str, Params]:
		"""Return a statement as the site's database takes it.

		On SQLite, Frappe writes named values into the statement as text, None as «None» among them: there they go
		by position, and the driver binds them.
		"""
		if self.dialect != "sqlite" or not isinstance(params, Mapping):
			return sql, params or ()
		return _NAMED.sub("%s", sql), tuple(params[name] for name in _NAMED.findall(sql))

	@contextmanager
	def transaction(self) -> Iterator[None]:
		"""Commit at the end of the block, or roll back; begins with a commit of what was pending before."""
		# What was read before belongs to an older snapshot (REPEATABLE READ): begin with a new one.
		frappe.db.commit()
		if self.dialect == "sqlite":
			# Take the write lock before reading: SQLite refuses to write from a snapshot that is no longer the
			# latest, and it refuses at once.
			frappe.db._cursor.execute("COMMIT")
			frappe.db._cursor.execute("BEGIN IMMEDIATE")
		self.broken = False
		try:
			yield
		except BaseException as error:
			with suppress(Exception) if self._is_lost(error) else nullcontext():
				frappe.db.rollback()
			raise
		frappe.db.commit()

	def watch(self, before_commit: Callable[[], None], after_rollback: Callable[[], None]) -> None:
		"""Have Frappe call one of the two at the end of the current transaction."""
		frappe.db.before_commit.add(before_commit)
		frappe.db.after_rollback.add(after_rollback)

	@contextmanager
	def savepoint(self) -> Iterator[None]:
		"""Undo only the block if it raises, and drop the callbacks that it registered with Frappe."""
		name, transaction = f"hub_{next(_numbers)}", _current_transaction()
		frappe.db._cursor.execute(
			f"SAVEPOINT {name}"
		)  # once a record, and three times as slow through frappe.db
		callbacks = [(manager, len(manager._functions)) for manager in _callback_managers()]
		with ExitStack() as ends:
			ends.push(partial(self._undo, name, callbacks))
			yield
			# A commit or rollback within the block ends the savepoint, too.
			there = _current_transaction() is transaction and _release(name)
		self.broken = self.broken or not there

	def _undo(self, name: str, callbacks: list[tuple[Any, int]], kind: Any, error: Any, trace: Any) -> None:
		"""Roll back to a savepoint where its block has failed, and drop the callbacks that it registered."""
		if not isinstance(error, Exception) or self.is_transient(error):
			return  # a deadlock has rolled back everything, savepoints too
		_roll_back_to(name)
		for manager, size in callbacks:  # what was to happen after the commit was part of it
			while len(manager._functions) > size:
				manager._functions.pop()

	@property
	def errors(self) -> tuple[type[Exception], ...]:
		"""Return the base class of the driver's errors, and what Frappe raises in their stead."""
		driver = next(kind for kind in frappe.db.OperationalError.__mro__ if kind.__name__ == "Error")
		mine = (frappe.QueryDeadlockError, frappe.QueryTimeoutError)
		return (driver, *mine, frappe.DuplicateEntryError, frappe.UniqueValidationError)

	def is_duplicate(self, error: BaseException) -> bool:
		"""Tell whether an error is a violated unique key, in Frappe's classes or the driver's."""
		if isinstance(error, frappe.DuplicateEntryError | frappe.UniqueValidationError):
			return True
		return bool(error.args) and bool(frappe.db.is_duplicate_entry(error))

	def is_transient(self, error: BaseException) -> bool:
		"""Tell whether an error is a deadlock, a lock timeout, a stale snapshot or a lost connection."""
		if self._is_lost(error):
			return True
		if isinstance(error, frappe.QueryDeadlockError | frappe.QueryTimeoutError):
			return True
		if self.dialect == "mariadb" and isinstance(error, frappe.db.OperationalError):
			# 1020: with innodb_snapshot_isolation, a row that the snapshot does not show as it is.
			return frappe.db.is_deadlocked(error) or frappe.db.is_timedout(error) or error.args[0] == 1020
		# Postgres reads a snapshot, as MariaDB does, and refuses to write over what it does not show.
		return getattr(error, "pgcode", None) in ("40001", "40P01")

	def recover(self, error: BaseException) -> None:
		"""Reconnect, with pauses, if the error is a lost connection; take the named locks again."""
		if not self._is_lost(error):
			return
		for pause in _PAUSES:
			time.sleep(pause)
			with suppress(Exception):  # it may still be away: the next attempt, or the next query, tells
				self.reconnect()
				frappe.db.sql("SELECT 1")
				break
		renew_locks()

	def reconnect(self) -> None:
		"""Begin with a new connection, as the same user. Raises what the database's driver does."""
		user = frappe.session.user
		with suppress(Exception):  # it is broken already, which is why we are here
			frappe.db.close()
		frappe.connect()
		frappe.set_user(user)

	def _is_lost(self, error: BaseException) -> bool:
		"""Tell whether an error says that the connection is no more."""
		if self.dialect == "sqlite" or not isinstance(error, Exception):
			return False
		kind = type(error).__name__
		if self.dialect == "postgres":
			# The server may have had the time to say why (AdminShutdown, an OperationalError), or not.
			closed = not frappe.db._conn or bool(frappe.db._conn.closed)
			return kind == "InterfaceError" or (closed and isinstance(error, frappe.db.OperationalError))
		code = error.args[0] if error.args else None
		return kind == "InterfaceError" or (kind == "OperationalError" and code in _LOST)


class _Transaction:
	"""Stands for a transaction: the first of what is called when it is rolled back, forgotten when it ends."""

	def __call__(self) -> None:
		"""Do nothing: the callback only has to be there."""


def _current_transaction() -> _Transaction:
	"""Return what stands for the current transaction: another one once frappe.db has committed or rolled back."""
	functions = frappe.db.after_rollback._functions
	if not (functions and isinstance(functions[0], _Transaction)):
		functions.appendleft(_Transaction())
	return functions[0]


def _roll_back_to(name: str) -> None:
	try:
		frappe.db.rollback(save_point=name)
	except FrappeDatabase().errors as error:
		if not _is_gone(error):
			raise
		frappe.db.rollback()  # somebody else's code has committed within the block: undo what came after


def _release(name: str) -> bool:
	"""Release a savepoint; tell whether it was still there: raw SQL may have ended its transaction unnoticed.

	Postgres takes no statement more after such an error, nor after one that somebody's code has swallowed: it is
	raised there.
	"""
	try:
		frappe.db._cursor.execute(f"RELEASE SAVEPOINT {name}")
	except FrappeDatabase().errors as error:
		if frappe.db.db_type == "postgres" or not _is_gone(error):
			raise
		return False
	return True


def _is_gone(error: Exception) -> bool:
	"""Tell whether an error says that there is no such savepoint (MariaDB: ER_SP_DOES_NOT_EXIST)."""
	if getattr(error, "pgcode", None) == "3B001":  # invalid_savepoint_specification
		return True
	return (bool(error.args) and error.args[0] == 1305) or "no such savepoint" in str(error)


def _callback_managers() -> list[Any]:
	names = ("before_commit", "after_commit")
	found = [getattr(frappe.db, name, None) for name in names]
	return [manager for manager in found if hasattr(manager, "_functions")]


@cache
def _mariadb_row_lock() -> str:
	"""Return the locking clause: SKIP LOCKED came with MariaDB 10.6 and MySQL 8.0; older ones wait for each other."""
	text = frappe.db.sql("SELECT VERSION()")[0][0]
	version = tuple(int(part) for part in text.split("-")[0].split(".")[:2])
	enough = version >= ((10, 6) if "mariadb" in text.lower() else (8, 0))
	return "FOR UPDATE SKIP LOCKED" if enough else "FOR UPDATE"
