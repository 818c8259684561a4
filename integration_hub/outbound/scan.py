"""Finding what no hook has noted: by `modified`, now and then by comparing all, and on request (Send What Is There).

`modified` is the site's local time: an hour comes twice in autumn, and a transaction commits what it dated long before.
The scan therefore looks again at the last hours, and passes over what was sent as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from integration_hub.outbound.collect import BACKFILL
from integration_hub.outbound.config import DOCTYPE, OutboundStream, load_outbound, outbound_streams
from integration_hub.outbound.rendering import Rendered, Renderer, RenderError, Unbound
from integration_hub.stores import deliveries, outbox, sent_records
from integration_hub.stores.clock import slack
from integration_hub.stores.database import Row, in_list, in_transaction, update
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.fault_isolation import isolated

_AT_ONCE = 500
_OVERLAP = 3600.0  # seconds that a transaction may last, beside the hour that comes twice
_SAMPLE = 20


@dataclass
class Plan:
	"""The deliveries that sending all would make: how many of each kind and why, and the first of them.

	delete: records whose document is gone. skip: by reason.
	"""

	stream: str
	create: int = 0
	update: int = 0
	delete: int = 0
	skip: dict[str, int] = field(default_factory=dict)
	sample: list[dict[str, Any]] = field(default_factory=list)

	def add(self, action: str, document: str, why: str = "", payload: Any = None) -> None:
		"""Count one document; the first ones are kept with what would be sent."""
		if action == "skip":
			self.skip[why] = self.skip.get(why, 0) + 1
		else:
			setattr(self, action, getattr(self, action) + 1)
		if len(self.sample) < _SAMPLE and action != "skip":
			self.sample.append({"document": document, "action": action, "why": why, "payload": payload})


def scan_due(runtime: Runtime) -> None:
	"""Scan and compare the streams whose time has come, each by itself."""
	for stream in outbound_streams(runtime.db):
		if stream.is_event:
			continue
		with (
			isolated(runtime, operation="Scan", stream=stream.name),
			runtime.lock(f"scan:{stream.name}") as free,
		):
			if free:
				_scan_if_due(runtime, stream)


def _scan_if_due(runtime: Runtime, stream: OutboundStream) -> None:
	state, now = _state(stream), runtime.now()
	if "since" not in state:  # begins when the stream does: what was there before is sent on request
		_keep(runtime, stream, {"since": now, "scanned": now, "compared": now})
		return
	if stream.scan_minutes and state["scanned"] <= runtime.now(ahead=-stream.scan_minutes * 60):
		since = scan(runtime, stream, state["since"])
		_keep(runtime, stream, {**state, "since": max(since, state["since"]), "scanned": now})
	if stream.compare_hours and state["compared"] <= runtime.now(ahead=-stream.compare_hours * 3600):
		_send_all(runtime, stream, Plan(stream.name), only_changed=True)
		_keep(runtime, stream, {**_state(load_outbound(runtime, stream.name)), "compared": now})


def _state(stream: OutboundStream) -> dict[str, str]:
	try:
		found = json.loads(stream.scan_state or "{}")
	except ValueError:
		return {}
	return found if {"since", "scanned", "compared"} <= found.keys() else {}


def _keep(runtime: Runtime, stream: OutboundStream, state: dict[str, str]) -> None:
	values = {"scan_state": json.dumps(state)}
	in_transaction(runtime.db, lambda: update(runtime.db, DOCTYPE, stream.name, values))


def scan(runtime: Runtime, stream: OutboundStream, since: str) -> str:
	"""Note documents that were modified since a time, less the overlap, and not sent as they are; return the newest time."""
	place, newest = (_earlier(runtime, since), ""), since
	while rows := _modified(runtime, stream, *place):
		names = [row["name"] for row in rows if not _is_known(row)]
		in_transaction(runtime.db, lambda names=names: _note(runtime, stream, names, "scan"))
		place = (str(rows[-1]["modified"]), rows[-1]["name"])
		newest = max(newest, place[0])
	return newest


def _earlier(runtime: Runtime, since: str) -> str:
	moment = datetime.fromisoformat(since) - timedelta(seconds=_OVERLAP + slack(runtime))
	return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _modified(runtime: Runtime, stream: OutboundStream, since: str, name: str) -> list[Row]:
	"""Return documents behind a place in the order of (modified, name), with when they had been modified when sent last."""
	sql = f"""SELECT `d`.`name`, `d`.`modified`, `r`.`sent_modified`,
			(SELECT MAX(`l`.`document_modified`) FROM `tab{deliveries.DOCTYPE}` `l`
				WHERE `l`.`document` = `d`.`name` AND `l`.`stream` = %(stream)s) AS `tried`
		FROM `tab{stream.target_doctype}` `d` LEFT JOIN `tab{sent_records.DOCTYPE}` `r`
			ON `r`.`target_name` = `d`.`name` AND `r`.`stream` = %(stream)s AND `r`.`status` = 'Bound'
		WHERE `d`.`modified` > %(since)s OR (`d`.`modified` = %(since)s AND `d`.`name` > %(name)s)
		ORDER BY `d`.`modified`, `d`.`name` LIMIT {_AT_ONCE}"""
	return runtime.db.query(sql, {"stream": stream.name, "since": since, "name": name})


def _is_known(row: Row) -> bool:
	"""Tell whether a document was sent, or refused, as it is."""
	return str(row["modified"]) in (row["sent_modified"], row["tried"])


def _note(runtime: Runtime, stream: OutboundStream, names: Sequence[str], operation: str) -> None:
	if names:
		outbox.append_documents(runtime, stream.target_doctype, names, operation, stream.name)


def plan(runtime: Runtime, name: str) -> Plan:
	"""Return what *Send What Is There* would do; writes and sends nothing. Raises HubError."""
	stream = load_outbound(runtime, name)
	found = Plan(name)
	for _document in _walk(runtime, stream, found):
		pass
	return found


def send_all(runtime: Runtime, name: str) -> Plan:
	"""Have all documents of a stream sent that the system does not have as they are; return what that makes.

	They wait behind all live changes.
	"""
	stream, found = load_outbound(runtime, name), Plan(name)
	_send_all(runtime, stream, found)
	return found


def _send_all(runtime: Runtime, stream: OutboundStream, found: Plan, only_changed: bool = False) -> None:
	"""Note what is to be sent. only_changed: leave out what was never sent, which a stream begins without."""
	waiting: list[tuple[str, str]] = []
	for action, document in _walk(runtime, stream, found):
		if not (only_changed and action == "create"):
			waiting.append((document, "deleted" if action == "delete" else BACKFILL))
		if len(waiting) >= _AT_ONCE:
			_flush(runtime, stream, waiting)
	_flush(runtime, stream, waiting)


def _flush(runtime: Runtime, stream: OutboundStream, waiting: list[tuple[str, str]]) -> None:
	def note() -> None:
		for operation in {operation for _document, operation in waiting}:
			names = [document for document, what in waiting if what == operation]
			_note(runtime, stream, names, operation)

	in_transaction(runtime.db, note)
	waiting.clear()


def _walk(runtime: Runtime, stream: OutboundStream, found: Plan) -> Iterator[tuple[str, str]]:
	"""Return what is to be done with each document, and with each record whose document is gone, as (action, document)."""
	renderer = Renderer(runtime, stream, runtime.target(stream.target_doctype, "Documents").fields())
	last = ""
	while names := _names(runtime, stream.target_doctype, last):
		for name in names:
			if action := _action(runtime, stream, renderer, name, found):
				yield action, name
		last = names[-1]
	for record in _records(runtime, stream):
		if not _exists(runtime, stream.target_doctype, record["target_name"]):
			if stream.out_deletion == "Keep" or (record["adopted"] and stream.out_deletion == "Delete"):
				found.add("skip", record["target_name"], "Its document is gone, and its record stays")
			else:
				found.add("delete", record["target_name"], record["external_id"])
				yield "delete", record["target_name"]


def _names(runtime: Runtime, doctype: str, last: str) -> list[str]:
	sql = f"SELECT `name` FROM `tab{doctype}` WHERE `name` > %s ORDER BY `name` LIMIT {_AT_ONCE}"
	return [row["name"] for row in runtime.db.query(sql, [last])]


def _records(runtime: Runtime, stream: OutboundStream) -> Iterator[Row]:
	last = ""
	while rows := sent_records.after(runtime, stream.name, last, _AT_ONCE):
		yield from (row for row in rows if row["target_name"])
		last = rows[-1]["name"]


def _exists(runtime: Runtime, doctype: str, name: str) -> bool:
	marks, values = in_list([name])
	return bool(runtime.db.query(f"SELECT 1 FROM `tab{doctype}` WHERE `name` IN ({marks})", values))


def _action(runtime: Runtime, stream: OutboundStream, renderer: Renderer, name: str, found: Plan) -> str:
	"""Return what is to be done with a document, "" for nothing; counts it."""
	document = runtime.read_document(stream.target_doctype, name)
	records = sent_records.records_of(runtime, stream.name, name)
	try:
		if document is None or not renderer.wants(document):
			return _out_of_stream(stream, records, name, found)
		if not stream.wants_state(int(document.get("docstatus") or 0)):
			found.add("skip", name, "It is in a state that is not sent")
			return ""
		rendered: Rendered | None = renderer.render(document)
	except Unbound as error:
		found.add("update" if records else "create", name, str(error))
		return "update" if records else "create"
	except RenderError as error:
		found.add("skip", name, f"It cannot be mapped: {error}")
		return ""
	return _compared(stream, records, rendered, name, found)


def _out_of_stream(stream: OutboundStream, records: Sequence[Row], name: str, found: Plan) -> str:
	if records and stream.out_deletion != "Keep":
		found.add("delete", name, "It no longer fits the filters")
		return "update"  # which finds that out again
	found.add("skip", name, "It does not fit the filters")
	return ""


def _compared(
	stream: OutboundStream, records: Sequence[Row], rendered: Rendered, name: str, found: Plan
) -> str:
	if not records:
		if stream.upsert_policy == "Update Only" and not stream.lookup_path:
			found.add("skip", name, "The system has no record of it")
			return ""
		found.add("create", name, "", rendered.payload)
		return "create"
	if records[0]["sent_hash"] == rendered.hash or stream.upsert_policy == "Create Only":
		found.add("skip", name, "The system has it as it is")
		return ""
	found.add("update", name, str(records[0]["external_id"]), rendered.payload)
	return "update"
