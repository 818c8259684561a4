"""Streams that hub.toml calls otherwise than before: nothing is doubled, and nothing forgotten unsaid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integration_hub.homes.file.config import HubFile
from integration_hub.stores.bindings import count_live, forget, has_any
from integration_hub.stores.database import Row
from integration_hub.stores.home import HubError
from integration_hub.stores.renames import move_bindings, rename_sentence
from integration_hub.stores.settings import stream_rows

if TYPE_CHECKING:
	from integration_hub.homes.file.home import FileHome


def carry_over(home: FileHome) -> None:
	"""Rename streams, and forget those that the file says to forget, within the current transaction.

	Raises HubError where a stream that is unknown writes where one did that has vanished, and nothing says which
	it is.
	"""
	known = {row["name"]: row for row in stream_rows(home.db)}
	for new, old in home.file.renamed.items():
		if old in known:
			_rename(home, old, new, new in known)
			known[new] = known.pop(old)
	for name in set(home.file.forgotten) & known.keys():
		_forget(home, name)
		del known[name]
	gone = [row for name, row in known.items() if name not in home.file.streams]
	for name in home.file.streams.keys() - known.keys():
		_check_unknown(home, name, gone)


def _check_unknown(home: FileHome, name: str, gone: list[Row]) -> None:
	target = home.file.streams[name].get("target_doctype")
	for row in gone:
		if row["target_doctype"] == target and (bound := count_live(home.db, row["name"])):
			raise HubError(
				rename_sentence(name, row["name"], str(target), bound), name=_place(home.file, name)
			)


def _rename(home: FileHome, old: str, new: str, is_known: bool) -> None:
	if is_known and has_any(home.db, new):
		raise HubError(
			f"has bound records of its own: those of {old!r} cannot be added",
			name=_place(home.file, new),
			field="renamed_from",
		)
	with home.lock(f"sync:{old}") as free:
		if not free:
			raise HubError(
				f"{old!r} is running; it can be renamed when that is over",
				name=_place(home.file, new),
				field="renamed_from",
			)
		home.db.execute("DELETE FROM `tabSync Settings` WHERE `name` = %s", [new])
		sql = "UPDATE `tabSync Settings` SET `name` = %s, `stream_name` = %s WHERE `name` = %s"
		home.db.execute(sql, [new, new, old])
		home.db.execute("DELETE FROM `tabSync Field Mapping` WHERE `parent` = %s", [old])
		for log in ("Sync Log", "Integration Error Log"):
			home.db.execute(f"UPDATE `tab{log}` SET `stream` = %s WHERE `stream` = %s", [new, old])
		move_bindings(home.db, old, new)


def _forget(home: FileHome, name: str) -> None:
	forget(home.db, name)
	for table, column in (("Sync Settings", "name"), ("Sync Field Mapping", "parent")):
		home.db.execute(f"DELETE FROM `tab{table}` WHERE `{column}` = %s", [name])


def _place(file: HubFile, stream: str) -> str:
	return f"{file.name} [stream.{stream}]"
