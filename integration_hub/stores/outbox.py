"""Outbound Change: the outbox. One row a change, written in the transaction that made the change."""

from __future__ import annotations

from collections.abc import Sequence

from integration_hub.stores.database import Row, in_list, insert_many
from integration_hub.stores.ids import new_id, new_ids
from integration_hub.stores.runtime import Runtime

DOCTYPE = "Outbound Change"
_COLUMNS = ("name", "reference_doctype", "document", "operation", "stream", "note", "payload")


def change(
	doctype: str,
	document: str,
	operation: str,
	*,
	stream: str = "",
	note: str = "",
	payload: str | None = None,
) -> tuple[str | None, ...]:
	"""Return a row of the outbox, to be given to `append`."""
	return (new_id(), doctype, document, operation, stream, note, payload)


def append(runtime: Runtime, rows: Sequence[tuple[str | None, ...]]) -> None:
	"""Add changes, within the current transaction. Never an upsert: writers would deadlock on one row."""
	now, owner = runtime.now(), runtime.owner()
	same = {"creation": now, "modified": now, "owner": owner, "modified_by": owner}
	insert_many(runtime.db, DOCTYPE, _COLUMNS, rows, same)


def append_documents(
	runtime: Runtime, doctype: str, documents: Sequence[str], operation: str, stream: str
) -> None:
	"""Add a change for each of some documents, for one stream, within the current transaction."""
	names = new_ids(len(documents))
	append(
		runtime,
		[
			(name, doctype, document, operation, stream, "", None)
			for name, document in zip(names, documents, strict=True)
		],
	)


def oldest(runtime: Runtime, limit: int) -> list[Row]:
	"""Return the oldest changes."""
	columns = ", ".join(f"`{column}`" for column in _COLUMNS)
	return runtime.db.query(f"SELECT {columns} FROM `tab{DOCTYPE}` ORDER BY `name` LIMIT {int(limit)}")


def remove(runtime: Runtime, names: Sequence[str]) -> int:
	"""Delete changes that were taken up, within the transaction that has done so; return how many were there."""
	marks, values = in_list(names)
	return runtime.db.execute(f"DELETE FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})", values)


def count(runtime: Runtime) -> int:
	"""Return how many changes nobody has taken up yet."""
	return runtime.db.query(f"SELECT COUNT(*) AS `n` FROM `tab{DOCTYPE}`")[0]["n"]
