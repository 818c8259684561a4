"""Files for their owner alone, from their first byte, whatever the umask says."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

FILE, FOLDER = 0o600, 0o700
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)


def make_folder(path: Path) -> None:
	"""Make a folder for its owner alone, where there is none; those above it have to be there."""
	try:
		path.mkdir(mode=FOLDER)
	except FileExistsError:
		return
	path.chmod(FOLDER)  # a umask takes from it, and an inherited ACL may give


def make_file(path: Path, text: str = "") -> bool:
	"""Make a file for its owner alone and write into it; False where there is one, which is left as it is.

	Raises OSError where a link of that name leads nowhere: what is written would be made at the other end.
	"""
	try:
		handle = os.open(path, _NEW, FILE)
	except FileExistsError:
		if not path.exists():
			raise OSError(f"{path} is a link that leads nowhere") from None
		return False
	with os.fdopen(handle, "w", encoding="utf-8") as file:
		os.fchmod(file.fileno(), FILE)
		file.write(text)
	return True


def exposed(path: Path, others_only: bool = False) -> Iterator[str]:
	"""Say that a file or folder is open to others than its owner, and what closes it; nothing where there is none.

	others_only: its group may have it, as where a machine hands out secrets.
	"""
	try:
		found = path.stat()
	except (OSError, ValueError):  # ValueError: a name that none can have
		return
	folder = stat.S_ISDIR(found.st_mode)
	if found.st_mode & (0o007 if others_only else 0o077):
		right = FOLDER if folder else FILE
		yield f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):04o}): chmod {right:o} {path}"
	if path.is_symlink() and found.st_uid not in (os.getuid(), 0):
		yield f"{path} is a link to what belongs to another user"


def replaceable(folder: Path) -> Iterator[str]:
	"""Say that others can put another file in the place of one in a folder."""
	try:
		mode = folder.stat().st_mode
	except OSError:
		return
	if mode & 0o022 and not mode & stat.S_ISVTX:
		yield f"others can replace what is in {folder} (mode {stat.S_IMODE(mode):04o}): chmod go-w {folder}"
