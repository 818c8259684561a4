"""Let each row of the inbox say what it waits for: one that says nothing would never be looked at."""

from integration_hub.runtime.frappe.database import FrappeDatabase
from integration_hub.stores.database import Row, in_list, in_transaction
from integration_hub.stores.inbox import DOCTYPE

_AT_ONCE = 1000


def execute() -> None:
	"""Let rows whose new columns are empty, as Frappe leaves them on SQLite, be looked at like new ones."""
	db = FrappeDatabase()
	while rows := _next(db):
		in_transaction(db, lambda rows=rows: _fill(db, rows))


def _next(db: FrappeDatabase) -> list[Row]:
	return db.query(
		f"SELECT `name` FROM `tab{DOCTYPE}` WHERE `turn` IS NULL OR `followed` IS NULL LIMIT {_AT_ONCE}"
	)


def _fill(db: FrappeDatabase, rows: list[Row]) -> None:
	marks, names = in_list(row["name"] for row in rows)
	sets = "`turn` = COALESCE(`turn`, 0), `followed` = COALESCE(`followed`, 0)"
	db.execute(f"UPDATE `tab{DOCTYPE}` SET {sets} WHERE `name` IN ({marks})", names)
