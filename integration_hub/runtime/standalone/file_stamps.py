"""Stamps of files: they tell whether a file is still the one that was read."""

from __future__ import annotations

import os
import time
from pathlib import Path

Stamp = tuple[int, ...]

# File systems count time in steps: what was changed just now may change again without its time doing so.
_SETTLED_SECONDS = 1.0


def stamp(path: Path) -> Stamp | None:
	"""Return what changes whenever a file does; None if it is not there, or changed too lately to tell."""
	try:
		found = os.stat(path)
	except OSError:
		return None
	if not found.st_ctime + _SETTLED_SECONDS < time.time():
		return None
	return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def identity(path: Path) -> Stamp | None:
	"""Return what tells a file from another one that took its place, None if it is not there."""
	try:
		found = os.stat(path)
	except OSError:
		return None
	return found.st_dev, found.st_ino
