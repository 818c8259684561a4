"""Collection of the outbox: all changes of a document that wait become one delivery of each stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from integration_hub.connectors.app_code import attempt
from integration_hub.outbound.config import OutboundStream, outbound_streams
from integration_hub.outbound.rendering import Renderer
from integration_hub.stores import deliveries, outbox, sent_records
from integration_hub.stores.database import Row, in_transaction
from integration_hub.stores.deliveries import delivery_name, ordering_key
from integration_hub.stores.runtime import Runtime

AT_ONCE = 500
DELETIONS = ("deleted", "merged")
BACKFILL = "backfill"
FROZEN = "frozen"  # note of a change whose payload is the row as a trigger has seen it


def collect(runtime: Runtime) -> set[str]:
	"""Turn the changes of the outbox into deliveries; return the integrations that have some to send.

	One collector at a time: nobody else makes deliveries, so that no document has two that wait. Who finds another one at
	it has nothing to do: that one goes on until the outbox is empty.
	"""
	found: set[str] = set()
	if not outbox.oldest(runtime, 1):
		return found
	with runtime.lock("outbox") as free:
		while free:
			taken, integrations = in_transaction(runtime.db, lambda: _collect(runtime))
			found |= integrations
			if taken < AT_ONCE:
				break
	return found


def _collect(runtime: Runtime) -> tuple[int, set[str]]:
	rows = outbox.oldest(runtime, AT_ONCE)
	if not rows:
		return 0, set()
	streams = outbound_streams(runtime.db)
	found = {stream.integration for stream in streams if _collect_for(runtime, stream, rows)}
	outbox.remove(runtime, [row["name"] for row in rows])
	return len(rows), found


def _collect_for(runtime: Runtime, stream: OutboundStream, rows: Sequence[Row]) -> bool:
	"""Make the deliveries of one stream of some changes, within the current transaction; tell whether there are any."""
	mine = [row for row in rows if _is_for(stream, row)]
	if not mine:
		return False
	if stream.is_event:
		made = [_event(runtime, stream, row) for row in mine if row["stream"] == stream.name]
		deliveries.add(runtime, [row for row in made if row])
		return True
	for row in mine:
		_follow_name(runtime, stream, row)
	_add(runtime, stream, {row["document"]: row for row in _strongest(mine)})
	return True


def _is_for(stream: OutboundStream, row: Row) -> bool:
	if row["reference_doctype"] != stream.target_doctype or row["stream"] not in (None, "", stream.name):
		return False
	return stream.wants(row["operation"])


def _strongest(rows: Iterable[Row]) -> list[Row]:
	"""Return the rows with a deletion of a document behind all others of it: whether it is there is asked on sending."""
	return sorted(rows, key=lambda row: row["operation"] in DELETIONS)


def _event(runtime: Runtime, stream: OutboundStream, row: Row) -> dict[str, Any] | None:
	"""Return the delivery of an event, None if its document does not fit the filters."""
	delivery = {
		**_row(stream, row["document"], row["operation"]),
		"name": row["name"],
		"payload": row["payload"],
	}
	if row["note"] == FROZEN:
		return _mapped(runtime, stream, row, delivery)
	return {**delivery, "error": row["note"] if row["payload"] is None else None}


def _mapped(
	runtime: Runtime, stream: OutboundStream, row: Row, delivery: dict[str, Any]
) -> dict[str, Any] | None:
	"""Map what a trigger has frozen, as it is: triggers know no mapping."""
	renderer = Renderer(runtime, stream, runtime.target(stream.target_doctype, "Documents").fields())
	document = {"docstatus": 0, **json.loads(row["payload"])}
	with attempt() as mapping:
		if not renderer.wants(document):
			return None
		payload = json.dumps(renderer.render(document).payload, ensure_ascii=False, default=str)
		return {**delivery, "payload": payload}
	return {**delivery, "payload": None, "error": str(mapping.error)[:500]}


def _row(stream: OutboundStream, document: str, operation: str) -> dict[str, Any]:
	return {
		"status": "Pending",
		"backfill": 0,
		"stream": stream.name,
		"integration": stream.integration,
		"reference_doctype": stream.target_doctype,
		"document": document,
		"operation": operation,
		"ordering_key": ordering_key(stream.name, document),
	}


def _follow_name(runtime: Runtime, stream: OutboundStream, row: Row) -> None:
	"""Have waiting deliveries follow a document that was renamed, and records leave with one that was merged into another.

	The runtime has written the new name into them already, in the transaction of the renaming.
	"""
	if row["operation"] == "merged" and row["note"]:
		held = [sent_records.by_name(runtime, name) for name in json.loads(row["note"])]
		mine = [record["name"] for record in held if record and record["stream"] == stream.name]
		sent_records.give_to(runtime, mine, row["document"])
	if row["operation"] == "renamed":
		deliveries.move_lane(runtime, stream.name, row["document"])


def _add(runtime: Runtime, stream: OutboundStream, changes: dict[str, Row]) -> None:
	"""Have the deliveries that wait stand for these changes, too, and add those that are missing."""
	keys = {ordering_key(stream.name, document): document for document in changes}
	waiting, new = deliveries.waiting(runtime, keys), []
	for key, document in keys.items():
		row, held = changes[document], waiting.get(key)
		operation, is_backfill = _operation(row), row["operation"] == BACKFILL
		if held and held["backfill"] and not is_backfill:
			deliveries.drop(runtime, [held["name"]])  # a live change does not wait behind a backfill
		elif held and (is_backfill or deliveries.renew_waiting(runtime, held["name"], operation)):
			continue
		values = {"name": delivery_name(is_backfill), "backfill": int(is_backfill)}
		new.append({**_row(stream, document, operation), **values})
	deliveries.add(runtime, new)


def _operation(row: Row) -> str:
	return "Delete" if row["operation"] in DELETIONS else "Upsert"
