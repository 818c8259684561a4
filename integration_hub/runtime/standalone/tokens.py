"""The tokens that the engine keeps without a bench, encrypted, in a file of their own beside the database.

A rotated refresh token is the only one that still works. In the database it would be lost with the transaction of a
handler that fails after its call, and would have to wait for one that is open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from integration_hub.stores.private_files import make_file

_TABLE = (
	"CREATE TABLE IF NOT EXISTS `token` (`integration` TEXT, `field` TEXT, `value` TEXT,"
	" PRIMARY KEY (`integration`, `field`))"
)
_BUSY_SECONDS = 30.0


def token_file(database: Path) -> Path:
	"""Return the file beside a database that tokens are kept in."""
	return database.with_name(f"{database.stem}.tokens{database.suffix}")


class TokenFile:
	"""Encrypted values by integration and field; each is committed as soon as it is set."""

	def __init__(self, database: Path) -> None:
		self._path = token_file(database)

	def get(self, integration: str, field: str) -> str | None:
		"""Return an encrypted token, None if there is none."""
		if not self._path.exists():
			return None
		with self._opened() as connection:
			sql = "SELECT `value` FROM `token` WHERE `integration` = ? AND `field` = ?"
			row = connection.execute(sql, (integration, field)).fetchone()
		return row[0] if row else None

	def set(self, integration: str, field: str, value: str) -> None:
		"""Store an encrypted token in place of the earlier one."""
		with self._opened() as connection:
			connection.execute("INSERT OR REPLACE INTO `token` VALUES (?, ?, ?)", (integration, field, value))

	@contextmanager
	def _opened(self) -> Iterator[sqlite3.Connection]:
		make_file(self._path)
		with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
			connection.execute("PRAGMA synchronous = FULL")
			connection.execute(_TABLE)
			yield connection
