"""Permissions of a runtime's files: which of them others than their owner can read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from integration_hub.runtime.standalone.hub_toml import SECRET_FIELDS, HubFile
from integration_hub.runtime.standalone.tokens import token_file
from integration_hub.stores.private_files import exposed, replaceable


def warnings(file: HubFile) -> Iterator[str]:
	"""Return a line for each file and folder of a runtime that is open to others."""
	yield from replaceable(file.folder)
	yield from exposed(file.folder / file.name)
	database = file.database
	for path in (
		database,
		token_file(database),
		*(database.with_name(f"{database.name}-{end}") for end in ("wal", "shm", "journal")),
	):
		yield from exposed(path)
	yield from exposed(database.with_suffix(".locks"))
	for path in dict.fromkeys(_secrets(file)):
		yield from exposed(path, others_only=file.folder not in path.parents)


def _secrets(file: HubFile) -> Iterator[Path]:
	"""Return the files that references lead to, and their folders within the runtime's own."""
	references = [file.hub.get("encryption_key"), file.hub.get("redis")]
	references += [values.get(field) for values in file.integrations.values() for field in SECRET_FIELDS]
	for reference in references:
		kind, _, place = str(reference or "").partition(":")
		if kind != "file":
			continue
		path = file.folder / place
		if file.folder in path.parent.parents:
			yield path.parent
		yield path
