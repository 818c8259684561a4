"""A lock in a file: for one host, free as soon as its owner is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from integration_hub.stores.private_files import FILE


@contextmanager
def file_lock(path: Path | str) -> Iterator[bool]:
	"""Try to take a lock; the block gets True if it was free."""
	lock = FileLock(path, mode=FILE)
	try:
		lock.acquire(timeout=0)
	except Timeout:
		yield False
		return
	try:
		yield True
	finally:
		lock.release()
