"""Locks that die with their owner, for all hosts that share the site's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256

import frappe

from integration_hub.stores.locks import file_lock


@contextmanager
def site_lock(name: str) -> Iterator[bool]:
	"""Try to take a lock; the block gets True if it was free.

	MariaDB and Postgres hold it for the connection, over commits; it is free once the connection is gone. A
	SQLite site lives on one host: a file lock does the same there.
	"""
	digest = sha256(f"{frappe.conf.db_name}:{name}".encode()).hexdigest()
	lock = {"mariadb": _mariadb, "postgres": _postgres}.get(frappe.db.db_type, _file)
	with lock(digest) as free:
		yield free


@contextmanager
def _mariadb(digest: str) -> Iterator[bool]:
	name = digest[:60]  # names are server-wide and at most 64 characters long
	if not frappe.db.sql("SELECT GET_LOCK(%s, 0)", (name,))[0][0]:
		yield False
		return
	try:
		yield True
	finally:
		frappe.db.sql("SELECT RELEASE_LOCK(%s)", (name,))


@contextmanager
def _postgres(digest: str) -> Iterator[bool]:
	number = int(digest[:15], 16)
	if not frappe.db.sql("SELECT pg_try_advisory_lock(%s)", (number,))[0][0]:
		yield False
		return
	try:
		yield True
	finally:
		frappe.db.sql("SELECT pg_advisory_unlock(%s)", (number,))


def _file(digest: str) -> AbstractContextManager[bool]:
	return file_lock(frappe.get_site_path("locks", f"integration_hub_{digest[:32]}.lock"))
