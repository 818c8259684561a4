"""External Records of outbound streams: which record of the system stands for a document, and what it was sent last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from integration_hub.stores.bindings import DOCTYPE, LIVE, binding_name, of_stream
from integration_hub.stores.database import Row, in_list, update, upsert_many
from integration_hub.stores.runtime import Runtime

_COLUMNS = (
	"`name`, `external_id`, `target_name`, `adopted`, `sent_hash`, `sent_payload`, `sent_modified`, `version`"
)


@dataclass(frozen=True)
class Sent:
	"""The state that the system took: the record's id and version, the mapped document and its hash, when that had been modified."""

	external_id: str
	hash: str
	payload: str
	modified: str
	version: str = ""
	adopted: bool = False


def records_of(runtime: Runtime, stream: str, document: str) -> list[Row]:
	"""Return the records that stand for a document, the one that was bound first before others."""
	sql = f"""SELECT {_COLUMNS} FROM `tab{DOCTYPE}`
		WHERE `target_name` = %s AND `stream` = %s AND {LIVE} ORDER BY `creation`, `name`"""
	return runtime.db.query(sql, [document, stream])


def external_ids(runtime: Runtime, stream: str, documents: Sequence[str]) -> dict[str, str]:
	"""Return the external ids of documents in a stream, of either direction, by their names."""
	marks, values = in_list(documents)
	sql = f"""SELECT `target_name`, `external_id` FROM `tab{DOCTYPE}`
		WHERE `target_name` IN ({marks}) AND `stream` = %s AND {LIVE} ORDER BY `creation` DESC, `name` DESC"""
	return {row["target_name"]: row["external_id"] for row in runtime.db.query(sql, [*values, stream])}


def holder(runtime: Runtime, stream: str, external_id: str) -> Row | None:
	"""Return the row of an external id, whichever document it stands for, None if there is none."""
	sql = f"SELECT {_COLUMNS}, `status` FROM `tab{DOCTYPE}` WHERE `name` = %s"
	return next(iter(runtime.db.query(sql, [binding_name(stream, external_id)])), None)


def bind(runtime: Runtime, stream: str, doctype: str, document: str, sent: Sent, by: str) -> None:
	"""Note what a document was sent as, and bind it to its record, within the current transaction.

	by: the delivery whose doing it is.
	"""
	now = runtime.now()
	values = {
		"target_name": document,
		"status": "Bound",
		"sent_hash": sent.hash,
		"sent_payload": sent.payload,
		"sent_modified": sent.modified,
		"sent_at": now,
		"version": sent.version[:255],
		"changed_by": by,
		"modified": now,
	}
	row = {
		**values,
		"name": binding_name(stream, sent.external_id),
		"external_id": sent.external_id,
		"stream": stream,
		"target_doctype": doctype,
		"adopted": int(sent.adopted),
		"made_by": by,
		"creation": now,
	}
	upsert_many(runtime.db, DOCTYPE, list(row), [tuple(row.values())], update=list(values))


def mark_gone(runtime: Runtime, name: str, by: str) -> None:
	"""Note that a record is gone from the system, within the current transaction."""
	values = {"status": "Deleted", "target_name": None, "sent_hash": None, "sent_payload": None}
	update(runtime.db, DOCTYPE, name, {**values, "changed_by": by, "modified": runtime.now()})


def let_go(runtime: Runtime, name: str, by: str) -> None:
	"""Note that a record stays in the system and its document is gone, within the current transaction."""
	values = {"status": "Deleted", "sent_hash": None, "changed_by": by, "modified": runtime.now()}
	update(runtime.db, DOCTYPE, name, values)


def give_to(runtime: Runtime, names: Sequence[str], document: str) -> None:
	"""Have records stand for a document: those of one that was merged into another, which are to go with it."""
	for name in names:
		update(runtime.db, DOCTYPE, name, {"target_name": document})


def count_records(runtime: Runtime, stream: str) -> int:
	"""Return how many records of a stream are bound."""
	where, params = of_stream(stream)
	return runtime.db.query(f"SELECT COUNT(*) AS `n` FROM `tab{DOCTYPE}` WHERE {where} AND {LIVE}", params)[
		0
	]["n"]


def after(runtime: Runtime, stream: str, last: str, limit: int) -> list[Row]:
	"""Return records of a stream, by name, behind the name `last`."""
	where, params = of_stream(stream)
	sql = f"""SELECT {_COLUMNS} FROM `tab{DOCTYPE}` WHERE {where} AND {LIVE} AND `name` > %s
		ORDER BY `name` LIMIT {int(limit)}"""
	return runtime.db.query(sql, [*params, last])


def by_name(runtime: Runtime, name: str) -> Row | None:
	"""Return the row of a name, None if there is none."""
	sql = f"SELECT {_COLUMNS}, `stream` FROM `tab{DOCTYPE}` WHERE `name` = %s"
	return next(iter(runtime.db.query(sql, [name])), None)
