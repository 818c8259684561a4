"""Streams that hub.toml calls by another name than before: nothing is doubled, and nothing dropped silently."""

from __future__ import annotations

from integration_hub.runtime.standalone.hub_toml import HubFile
from integration_hub.runtime.standalone.open_hub import OpenHub
from integration_hub.stores.bindings import count_live, forget, has_any
from integration_hub.stores.database import Row
from integration_hub.stores.runtime import HubError
from integration_hub.stores.settings import stream_rows
from integration_hub.stores.stream_renames import move_bindings, rename_sentence


def carry_over(runtime: OpenHub) -> None:
	"""Rename streams, and forget those that the file says to forget, within the current transaction.

	Raises HubError where a stream that is unknown writes where one did that has vanished, and nothing says which
	it is.
	"""
	known = {row["name"]: row for row in stream_rows(runtime.db)}
	for new, old in runtime.file.renamed.items():
		if old in known:
			_rename(runtime, old, new, new in known)
			known[new] = known.pop(old)
	for name in set(runtime.file.forgotten) & known.keys():
		_forget(runtime, name)
		del known[name]
	gone = [row for name, row in known.items() if name not in runtime.file.streams]
	for name in runtime.file.streams.keys() - known.keys():
		_check_unknown(runtime, name, gone)


def _check_unknown(runtime: OpenHub, name: str, gone: list[Row]) -> None:
	target = runtime.file.streams[name].get("target_doctype")
	for row in gone:
		if row["target_doctype"] == target and (bound := count_live(runtime.db, row["name"])):
			raise HubError(
				rename_sentence(name, row["name"], str(target), bound), name=_place(runtime.file, name)
			)


def _rename(runtime: OpenHub, old: str, new: str, is_known: bool) -> None:
	if is_known and has_any(runtime.db, new):
		raise HubError(
			f"has bound records of its own: those of {old!r} cannot be added",
			name=_place(runtime.file, new),
			field="renamed_from",
		)
	with runtime.lock(f"sync:{old}") as free:
		if not free:
			raise HubError(
				f"{old!r} is running; it can be renamed when that is over",
				name=_place(runtime.file, new),
				field="renamed_from",
			)
		runtime.db.execute("DELETE FROM `tabSync Settings` WHERE `name` = %s", [new])
		sql = "UPDATE `tabSync Settings` SET `name` = %s, `stream_name` = %s WHERE `name` = %s"
		runtime.db.execute(sql, [new, new, old])
		runtime.db.execute("DELETE FROM `tabSync Field Mapping` WHERE `parent` = %s", [old])
		for log in ("Sync Log", "Integration Error Log"):
			runtime.db.execute(f"UPDATE `tab{log}` SET `stream` = %s WHERE `stream` = %s", [new, old])
		move_bindings(runtime.db, old, new)


def _forget(runtime: OpenHub, name: str) -> None:
	forget(runtime.db, name)
	for table, column in (("Sync Settings", "name"), ("Sync Field Mapping", "parent")):
		runtime.db.execute(f"DELETE FROM `tab{table}` WHERE `{column}` = %s", [name])


def _place(file: HubFile, stream: str) -> str:
	return f"{file.name} [stream.{stream}]"
