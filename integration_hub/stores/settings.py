"""Reading settings documents, and the state the engine keeps on them."""

from __future__ import annotations

from collections.abc import Sequence

from integration_hub.lazy_messages import _
from integration_hub.stores.database import Database, Row, in_list, update
from integration_hub.stores.failure_closing import close_calls
from integration_hub.stores.runtime import HubError, Runtime

# Fields of Integration Settings that the engine keeps: no settings.
STATE = (
	"last_success_at",
	"last_failure_at",
	"last_error",
	"queue_read_at",
	"queue_message_at",
	"queue_depth",
	"queue_error",
	"handshake_until",
)


INBOUND = "COALESCE(`direction`, 'In') <> 'Out'"  # streams that fetch


def settings_row(db: Database, doctype: str, name: str) -> Row:
	"""Return one settings row; raises HubError if there is none.

	MariaDB finds a name in another case as well, and with blanks behind it: what goes by the name (locks, bindings,
	keys of events) would take that for another one.
	"""
	rows = db.query(f"SELECT * FROM `tab{doctype}` WHERE `name` = %s", [name])
	if not rows or rows[0]["name"] != name:
		raise HubError(_("does not exist"), doctype=doctype, name=name)
	return rows[0]


def child_rows(db: Database, doctype: str, parent: str) -> list[Row]:
	"""Return the rows of a child table, in their order."""
	return db.query(f"SELECT * FROM `tab{doctype}` WHERE `parent` = %s ORDER BY `idx`", [parent])


def stream_rows(db: Database, columns: str = "*", where: str = "1 = 1", *params: object) -> list[Row]:
	"""Return Sync Settings rows that fit a condition, by name."""
	return db.query(f"SELECT {columns} FROM `tabSync Settings` WHERE {where} ORDER BY `name`", params)


def note_success(runtime: Runtime, integration: str) -> None:
	"""Write on Integration Settings that the system answered."""
	update(
		runtime.db,
		"Integration Settings",
		integration,
		{"last_success_at": runtime.now(), "last_error": None},
	)
	close_calls(runtime, integration)


def note_failure(runtime: Runtime, integration: str, message: str) -> None:
	"""Write on Integration Settings what went wrong last; `message` is redacted already."""
	values = {"last_failure_at": runtime.now(), "last_error": message[:500]}
	update(runtime.db, "Integration Settings", integration, values)


def existing_names(db: Database, doctype: str, names: Sequence[str]) -> set[str]:
	"""Return those of `names` that exist in a doctype."""
	if not names:
		return set()
	marks, values = in_list(names)
	rows = db.query(f"SELECT `name` FROM `tab{doctype}` WHERE `name` IN ({marks})", values)
	return {row["name"] for row in rows}
