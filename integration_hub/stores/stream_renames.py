"""A stream under another name: what it has bound, and what was logged of it, goes with it."""

from __future__ import annotations

from integration_hub.stores.bindings import DOCTYPE, name_range
from integration_hub.stores.database import Database

STREAM = "stream:"  # stands before a stream's name in the argument of a link
_PREFIX = 8  # what stands for the stream in a binding's name


def move_bindings(db: Database, old: str, new: str) -> int:
	"""Give a stream's bindings to another name, within the current transaction; return how many there were.

	They are found by names that begin with their stream: under the old one each record would be a new one, and its
	document be made a second time.
	"""
	first, beyond = name_range(old)
	joined = f"SUBSTR(`name`, {_PREFIX + 1})"
	name = f"%s || {joined}" if db.dialect == "sqlite" else f"CONCAT(%s, {joined})"
	return db.execute(
		f"""UPDATE `tab{DOCTYPE}` SET `name` = {name}, `stream` = %s
			WHERE `name` >= %s AND `name` < %s AND `stream` IN (%s, %s)""",
		[name_range(new)[0], new, first, beyond, old, new],
	)


def move_links(db: Database, old: str, new: str) -> None:
	"""Have the links that are found by a stream's records use its new name, within the current transaction."""
	rows = db.query("SELECT `name`, `argument` FROM `tabSync Field Mapping` WHERE `conversion` = 'Link'")
	for row in rows:
		kind, _, name = (row["argument"] or "").strip().partition(":")
		if f"{kind}:" == STREAM and name.strip() == old:
			sql = "UPDATE `tabSync Field Mapping` SET `argument` = %s WHERE `name` = %s"
			db.execute(sql, [f"{STREAM}{new}", row["name"]])


def rename_sentence(new: str, old: str, target: str, bound: int) -> str:
	"""Return why a new stream is refused that writes where a vanished one did, and the two ways out."""
	return (
		f"is new, and writes {target}, where {old!r} has {bound} documents and is no longer in the file: each "
		f'document would be made a second time. If it is the same under another name, write renamed_from = "{old}" '
		f'into [stream.{new}]; if not, write forget_streams = ["{old}"] into [hub], and its documents are no longer '
		"any stream's"
	)
