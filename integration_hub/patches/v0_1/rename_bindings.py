"""Bindings are found by names that begin with their stream: a name of the first release is never found again.

Its records would be new ones, and each document be made a second time.
"""

import frappe

from integration_hub.runtime.frappe.database import FrappeDatabase
from integration_hub.stores.bindings import DOCTYPE, binding_name
from integration_hub.stores.database import Database, Row, in_list, in_transaction
from integration_hub.stores.ids import HASH_LENGTH

_AT_ONCE = 1000


def execute() -> None:
	"""Rename what is not named as it is looked for. What is stopped in its midst goes on when it is run again."""
	if not frappe.db.table_exists(DOCTYPE):
		return
	db, last = FrappeDatabase(), ""
	while rows := _next(db, last):
		last = rows[-1]["name"]
		in_transaction(db, lambda rows=rows: _rename(db, rows))


def _next(db: Database, last: str) -> list[Row]:
	columns = "`name`, `stream`, `external_id`"
	sql = f"SELECT {columns} FROM `tab{DOCTYPE}` WHERE `name` > %s ORDER BY `name` LIMIT {_AT_ONCE}"
	return db.query(sql, [last])


def _rename(db: Database, rows: list[Row]) -> None:
	wanted = {row["name"]: binding_name(row["stream"], row["external_id"]) for row in rows}
	marks, values = in_list(wanted.values())
	there = {
		row["name"]
		for row in db.query(f"SELECT `name` FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})", values)
	}
	new = {old: name for old, name in wanted.items() if name not in there}
	if not new:
		return
	cases = " ".join(["WHEN %s THEN %s"] * len(new))
	marks, old = in_list(new)
	# The hash of the content was longer, and of something else; what it says now is that nothing is known.
	db.execute(
		f"""UPDATE `tab{DOCTYPE}` SET `name` = CASE `name` {cases} END,
			`content_hash` = CASE WHEN LENGTH(`content_hash`) > {HASH_LENGTH} THEN '' ELSE `content_hash` END
			WHERE `name` IN ({marks})""",
		[*(part for pair in new.items() for part in pair), *old],
	)
