"""The small database interface the engine runs on.

SQL is written once, with backticked names and `%s` or `%(name)s` parameters. Times are passed and compared
as text (`YYYY-MM-DD HH:MM:SS.ffffff`), which every database Frappe supports accepts for its own type.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")

Row = dict[str, Any]
Params = Sequence[Any] | Mapping[str, Any] | None
Dialect = Literal["mariadb", "postgres", "sqlite"]

# Text that means the same in quotes on every database, whatever its settings.
_PLAIN_TEXT = re.compile(r"[A-Za-z0-9 .:_@-]*")
# After so many seconds a transaction takes on nothing more: the locks it holds are what other people wait for.
LONG_ENOUGH = 0.5
_ATTEMPTS_OUTDATED, _SECONDS_OUTDATED = 20, 60
_MAX_PARAMETERS = 30_000  # SQLite takes 32,766, Postgres' driver and MariaDB more


class BrokenTransaction(Exception):
	"""A transaction was ended by somebody it does not belong to: what was to be one is in two."""


class Outdated(Exception):
	"""A transaction has read what is no longer so: it has to begin again."""


class Database(Protocol):
	"""SQL in one dialect, with parameters as `%s` or `%(name)s`, and transactions.

	broken: whether the current transaction was ended by code that had not begun it."""

	dialect: Dialect
	errors: tuple[
		type[Exception], ...
	]  # what the database raises: all that `is_duplicate` or `is_transient` may be said of
	broken: bool  # was the current transaction ended by somebody it does not belong to?

	@property
	def row_lock(self) -> str:
		"""Return what ends a SELECT that locks its rows and leaves out those that are locked, as far as it can."""

	def query(self, sql: str, params: Params = None) -> list[Row]:
		"""Return the rows of a SELECT as dictionaries."""

	def execute(self, sql: str, params: Params = None) -> int:
		"""Run a statement; return the number of rows it matched or changed."""

	def transaction(self) -> AbstractContextManager[None]:
		"""Commit at the end of the block, roll back and re-raise if it raises. Not nested."""

	def savepoint(self) -> AbstractContextManager[None]:
		"""Undo only the block, and re-raise, if it raises. Within a transaction."""

	def watch(self, before_commit: Callable[[], None], after_rollback: Callable[[], None]) -> None:
		"""Have one of the two called at the end of the current transaction, by whichever code ends it."""

	def is_duplicate(self, error: BaseException) -> bool:
		"""Tell whether an error is a violated unique key."""

	def is_transient(self, error: BaseException) -> bool:
		"""Tell whether repeating the transaction may help (deadlock, lock timeout, lost connection)."""

	def recover(self, error: BaseException) -> None:
		"""Make the database ready for another try: a connection that was lost is made again."""


def insert(db: Database, doctype: str, row: Mapping[str, Any]) -> None:
	"""Insert one row."""
	insert_many(db, doctype, list(row), [tuple(row.values())])


def insert_many(
	db: Database,
	doctype: str,
	columns: Sequence[str],
	rows: Sequence[Sequence[Any]],
	same: Mapping[str, Any] | None = None,
) -> None:
	"""Insert rows, as few statements as the parameter limit allows.

	same: more columns, with the value that all rows have in them.
	"""
	_write(db, doctype, columns, rows, same or {}, "")


def insert_new(
	db: Database,
	doctype: str,
	columns: Sequence[str],
	rows: Sequence[Sequence[Any]],
	same: Mapping[str, Any] | None = None,
	*,
	key: str,
) -> int:
	"""Insert the rows whose `key` does not exist yet; return how many did not. The unique index decides."""
	# Not INSERT IGNORE, which keeps quiet about anything; to set a column to itself changes nothing.
	nothing = f" ON DUPLICATE KEY UPDATE `{key}` = `{key}`"
	if db.dialect != "mariadb":
		nothing = f" ON CONFLICT (`{key}`) DO NOTHING"
	return _write(db, doctype, columns, rows, same or {}, nothing)


def upsert_many(
	db: Database,
	doctype: str,
	columns: Sequence[str],
	rows: Sequence[Sequence[Any]],
	*,
	update: Sequence[str],
	same: Mapping[str, Any] | None = None,
	key: str = "name",
) -> None:
	"""Insert rows; where `key` exists already, set its `update` columns to the new values."""
	if db.dialect == "mariadb":
		sets = ", ".join(f"`{c}` = VALUES(`{c}`)" for c in update)
		clause = f" ON DUPLICATE KEY UPDATE {sets}"
	else:
		sets = ", ".join(f"`{c}` = excluded.`{c}`" for c in update)
		clause = f" ON CONFLICT (`{key}`) DO UPDATE SET {sets}"
	_write(db, doctype, columns, rows, same or {}, clause)


def _write(
	db: Database,
	doctype: str,
	columns: Sequence[str],
	rows: Sequence[Sequence[Any]],
	same: Mapping[str, Any],
	clause: str,
) -> int:
	written = 0
	names = ", ".join(f"`{column}`" for column in (*columns, *same))
	shared = [_literal(db, value) for value in same.values()]
	others = [value for value, mark in zip(same.values(), shared, strict=True) if mark == "%s"]
	marks = ["%s"] * len(columns) + shared
	group = f"({', '.join(marks)})"
	for chunk in chunks(rows, max(_MAX_PARAMETERS // (len(columns) + len(others)), 1)):
		groups = ", ".join([group] * len(chunk))
		values = [value for row in chunk for value in (*row, *others)]
		written += db.execute(f"INSERT INTO `tab{doctype}` ({names}) VALUES {groups}{clause}", values)
	return written


def _literal(db: Database, value: Any) -> str:
	"""Return a value that all rows share as it stands in a statement, "%s" where the driver has to quote it.

	Drivers quote each parameter by itself, which is a third of a page's cost: this is done once. Not on Postgres, where
	Frappe rewrites the words of a statement, values that stand in it among them.
	"""
	if db.dialect == "postgres":
		return "%s"
	if type(value) is int:
		return str(value)
	return f"'{value}'" if isinstance(value, str) and _PLAIN_TEXT.fullmatch(value) else "%s"


def update(
	db: Database, doctype: str, name: str, values: Mapping[str, Any], *, where: str = "", **params
) -> int:
	"""Set columns of one row, if the extra condition holds; return 1 if it did, else 0."""
	sets = ", ".join(f"`{column}` = %({column})s" for column in values)
	condition = f" AND ({where})" if where else ""
	sql = f"UPDATE `tab{doctype}` SET {sets} WHERE `name` = %(_name)s{condition}"
	return db.execute(sql, {**values, **params, "_name": name})


# A page and the events of its records meet in the same rows: under load, four attempts did not always suffice.
_ATTEMPTS = 8


def in_transaction(db: Database, work: Callable[[], T], attempts: int = _ATTEMPTS) -> T:
	"""Run `work` in a transaction; repeat it when another one was in the way, or the connection broke."""
	until = time.monotonic() + _SECONDS_OUTDATED
	for attempt in range(1, _ATTEMPTS_OUTDATED + 1):
		try:
			with db.transaction():
				return work()
		except (Outdated, *db.errors) as error:
			# Rows that others have made meanwhile need not be made again: each attempt finds more of them.
			outdated = isinstance(error, Outdated)
			most = _ATTEMPTS_OUTDATED if outdated and time.monotonic() < until else attempts
			again = outdated or db.is_transient(error) or db.is_duplicate(error)
			if attempt >= most or not again:
				raise
			time.sleep(random.uniform(0.01, 0.1) * min(attempt, attempts))
			db.recover(error.__cause__ or error)
	raise AssertionError("unreachable")


def as_it_is(db: Database) -> str:
	"""Return what ends a SELECT that is to find its rows as they are now, whatever the snapshot shows; locks them."""
	return "" if db.dialect == "sqlite" else "FOR UPDATE"


def in_list(values: Iterable[Any]) -> tuple[str, list[Any]]:
	"""Return (`%s, %s, …`, values) for an IN clause; an empty list matches nothing."""
	listed = list(values)
	return (", ".join(["%s"] * len(listed)) or "NULL"), listed


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
	"""Cut a sequence into pieces of at most `size`."""
	return (items[start : start + size] for start in range(0, len(items), size))
