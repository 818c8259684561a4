"""Locks that die with their owner, for all hosts that share the site's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256

import frappe

from integration_hub.stores.file_lock import file_lock


class LockLost(Exception):
	"""A lock that this process held is now another's."""


@contextmanager
def site_lock(name: str) -> Iterator[bool]:
	"""Try to take a lock; the block gets True if it was free.

	MariaDB and Postgres hold it for the connection, over commits; it is free once the connection is gone. A
	SQLite site lives on one host: a file lock does the same there.
	"""
	digest = sha256(f"{frappe.conf.db_name}:{name}".encode()).hexdigest()
	lock = {"mariadb": _mariadb, "postgres": _postgres}.get(frappe.db.db_type, _file)
	with lock(digest) as free:
		if free:
			_held().append(digest)
		try:
			yield free
		finally:
			if free:
				_held().remove(digest)


def renew_locks() -> None:
	"""Take the locks again that went with a lost connection. Raises LockLost if another process has one."""
	for digest in _held():
		# The server may not have noticed yet that the connection which had it is gone.
		taken = _take_mariadb(digest, 5) if frappe.db.db_type == "mariadb" else _take_postgres(digest)
		if not taken:
			raise LockLost("Another process took over while the database was away.")


def _held() -> list[str]:
	if not hasattr(frappe.local, "integration_hub_locks"):
		frappe.local.integration_hub_locks = []
	return frappe.local.integration_hub_locks


@contextmanager
def _mariadb(digest: str) -> Iterator[bool]:
	if not _take_mariadb(digest):
		yield False
		return
	try:
		yield True
	finally:
		with suppress(Exception):  # it may have gone with its connection
			frappe.db.sql("SELECT RELEASE_LOCK(%s)", (digest[:60],))


def _take_mariadb(digest: str, patience: int = 0) -> bool:
	# names are server-wide and at most 64 characters long
	return bool(frappe.db.sql("SELECT GET_LOCK(%s, %s)", (digest[:60], patience))[0][0])


@contextmanager
def _postgres(digest: str) -> Iterator[bool]:
	if not _take_postgres(digest):
		yield False
		return
	try:
		yield True
	finally:
		with suppress(Exception):
			frappe.db.sql("SELECT pg_advisory_unlock(%s)", (int(digest[:15], 16),))


def _take_postgres(digest: str) -> bool:
	return bool(frappe.db.sql("SELECT pg_try_advisory_lock(%s)", (int(digest[:15], 16),))[0][0])


def _file(digest: str) -> AbstractContextManager[bool]:
	return file_lock(frappe.get_site_path("locks", f"integration_hub_{digest[:32]}.lock"))
