"""Decision of the next step of a delivery, in one short transaction, from the document as it is and what the system has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from integration_hub.lazy_messages import _
from integration_hub.outbound.config import OutboundStream
from integration_hub.outbound.rendering import Rendered, Renderer
from integration_hub.outbound.steps import NoValue, Requests, Step, thawed
from integration_hub.stores import deliveries, sent_records
from integration_hub.stores.database import Row
from integration_hub.stores.ids import key, utc_made_at
from integration_hub.stores.runtime import Runtime


@dataclass(frozen=True)
class End:
	"""The end of a delivery. drop: nobody need know of it."""

	status: str
	error: str = ""
	drop: bool = False


@dataclass
class Memory:
	"""The facts that a delivery has learned from the system so far.

	looked: the system was asked for the record. found: the id that it gave. version: which it has now, where it refused
	ours. sent: something was taken. gone: the record that we knew is there no longer. resent: the open request was
	repeated. removed: a record was deleted or disabled, or is to be once a person approves. modified: when the document
	had been.
	"""

	looked: bool = False
	found: str = ""
	version: str | None = None
	sent: bool = False
	gone: bool = False
	resent: bool = False
	removed: bool = False
	modified: str = ""
	rendered: Rendered | None = None
	answers: dict[str, Any] = field(default_factory=dict)


class Decider:
	"""Decides the steps of the deliveries of one stream."""

	def __init__(self, runtime: Runtime, stream: OutboundStream) -> None:
		self.runtime, self.stream = runtime, stream
		fields = runtime.target(stream.target_doctype, "Documents").fields()
		self.renderer = Renderer(runtime, stream, fields)
		self.requests = Requests(stream)

	def next(self, row: Row, memory: Memory) -> Step | End:
		"""Return the next step of a delivery, or its end; within a transaction.

		Raises RenderError, Unbound, and ConfigurationError for settings that do not fit.
		"""
		if self.stream.is_event:
			return self._event(row, memory)
		records = sent_records.records_of(self.runtime, self.stream.name, row["document"])
		document = self.runtime.read_document(self.stream.target_doctype, row["document"])
		if document is None:
			if row["operation"] == "Delete":
				return self._removal(row, memory, records)
			return self._ended(memory, _("The document is gone, and no deletion was noted."))
		if not self.renderer.wants(document):
			return self._removal(row, memory, records)
		if not self.stream.wants_state(int(document.get("docstatus") or 0)):
			return End("Unchanged", drop=not records)
		return self._upsert(row, memory, records, document)

	def values(
		self, row: Row, rendered: Rendered, document: Mapping[str, Any], id: str = ""
	) -> dict[str, Any]:
		"""Return what the placeholders of the stream's requests stand for."""
		return {"id": id, "payload": rendered.payload, "doc": dict(document), "operation": row["operation"]}

	def _upsert(
		self, row: Row, memory: Memory, records: list[Row], document: Mapping[str, Any]
	) -> Step | End:
		memory.modified = str(document.get("modified") or "")
		rendered = memory.rendered = self.renderer.render(document)
		values = self.values(row, rendered, document)
		if not records:
			return self._creation(row, memory, values)
		record = records[0]
		if record["sent_hash"] == rendered.hash or self.stream.upsert_policy == "Create Only":
			return self._ended(memory)
		if self.stream.send_to != "HTTP":
			return self._message(row, rendered, values, record["external_id"])
		if memory.gone and not self._may_look():
			return End("Conflict", _("The system no longer has record {0}.", record["external_id"]))
		if memory.gone and not memory.looked and (look := self._look_up(values, memory)):
			return look
		if memory.gone:
			sent_records.mark_gone(self.runtime, record["name"], row["name"])
			memory.gone = False
			return self._creation(row, memory, values)
		return self._update(row, memory, record, values)

	def _update(self, row: Row, memory: Memory, record: Row, values: dict[str, Any]) -> Step:
		rendered, version = (
			memory.rendered,
			memory.version if memory.version is not None else record["version"],
		)
		values = {**values, "id": record["external_id"]}
		step = self.requests.make("update", values, key=self._key(row, rendered.hash), hash=rendered.hash)
		if self.stream.precondition == "If-Match" and version:
			return replace(step, headers={**step.headers, "If-Match": version})
		return step

	def _creation(self, row: Row, memory: Memory, values: dict[str, Any]) -> Step | End:
		rendered = memory.rendered
		if self.stream.upsert_policy == "Update Only" and not self._may_look():
			return End("Unchanged", drop=True)
		if self.stream.send_to != "HTTP":
			return self._message(row, rendered, values, "")
		if self._may_look() and not memory.looked and (look := self._look_up(values, memory)):
			return look
		if self.stream.upsert_policy == "Update Only":
			return End("Unchanged", _("The system has no such record."))
		opened = deliveries.open_request(self.runtime, self.stream.name, row["document"])
		if opened and (again := self._again(opened, memory)):
			return again
		return self.requests.make("create", values, key=self._key(row, rendered.hash), hash=rendered.hash)

	def _again(self, opened: Row, memory: Memory) -> Step | End | None:
		"""Return the request of unknown outcome once more, as it was; None where that would be a second one to the system."""
		if self.stream.idempotency_keys and not memory.resent:
			return thawed(opened["open_request"])
		if str(opened["open_key"]).startswith(TAKEN) and not self._may_look():
			return End(
				"Conflict",
				_("The system took the record, and its answer held no id at {0}.", self.stream.id_path),
			)
		return None

	def _look_up(self, values: dict[str, Any], memory: Memory) -> Step | None:
		"""Return the look-up of a record, None where the document does not hold what it is found by."""
		try:
			return self.requests.make("look up", values)
		except NoValue:
			memory.looked = True
			return None

	def _may_look(self) -> bool:
		return bool(self.stream.lookup_path and self.stream.lookup_match)

	def _message(self, row: Row, rendered: Rendered, values: dict[str, Any], id: str) -> Step:
		message = self.requests.make(
			"message", {**values, "id": id}, hash=rendered.hash, key=self._key(row, rendered.hash)
		)
		return message

	def _removal(self, row: Row, memory: Memory, records: list[Row]) -> Step | End:
		"""Return how the first of the records of a document that is gone from the stream goes, or the end."""
		mine = [record for record in records if record["external_id"] not in memory.answers]
		if not records and (again := self._unknown(row, memory)):
			return again
		if not mine:
			return self._ended(memory) if memory.sent or records else End("Unchanged", drop=True)
		record = mine[0]
		if self.stream.out_deletion == "Keep" or (self.stream.out_deletion == "Delete" and record["adopted"]):
			sent_records.let_go(self.runtime, record["name"], row["name"])
			return self._ended(memory, _("The record stays in the system."))
		if not row.get("approved") and self._are_too_many(row):
			memory.removed = True
			return End("Conflict", _("So many deletions need approval: {0}", self._deletions()))
		values = {
			"id": record["external_id"],
			"operation": row["operation"],
			"payload": {},
			"doc": {"name": row["document"]},
		}
		if self.stream.send_to != "HTTP":
			return self.requests.make(
				"message", values, key=self._key(row, "deleted"), body={"id": record["external_id"]}
			)
		if self.stream.out_deletion == "Disable":
			body = {
				**_json(record["sent_payload"]),
				self.stream.out_disable_path: _value(self.stream.out_disable_value),
			}
			return self.requests.make("disable", values, key=self._key(row, "disabled"), body=body)
		return self.requests.make("delete", values, key=self._key(row, "deleted"))

	def _unknown(self, row: Row, memory: Memory) -> Step | None:
		"""Return how to learn whether the system has a record whose creation was asked for and never heard of."""
		opened = deliveries.open_request(self.runtime, self.stream.name, row["document"])
		if not opened or self.stream.out_deletion == "Keep" or self.stream.send_to != "HTTP":
			return None
		payload = _json(opened["payload"])
		memory.rendered = Rendered(payload, opened["payload_hash"] or "", "")
		values = self.values(row, memory.rendered, {"name": row["document"]})
		if self._may_look() and not memory.looked and (look := self._look_up(values, memory)):
			return look
		if self.stream.idempotency_keys and not self._may_look() and not memory.resent:
			return thawed(opened["open_request"])
		deliveries.close_requests(self.runtime, self.stream.name, row["document"])
		return None

	def _are_too_many(self, row: Row) -> bool:
		"""Tell whether one deletion more is more than a day may see without approval: by number and by share."""
		count, live = self._deletions() + 1, sent_records.count_records(self.runtime, self.stream.name)
		if count <= self.stream.out_delete_count:
			return False
		return count * 100 > (live + count - 1) * self.stream.out_delete_percent or count > _MOST_DELETIONS

	def _deletions(self) -> int:
		sql = f"""SELECT COUNT(*) AS `n` FROM `tab{deliveries.DOCTYPE}` WHERE `stream` = %s
			AND `operation` = 'Delete' AND `status` = 'Delivered' AND `approved` = 0 AND `delivered_at` > %s"""
		return self.runtime.db.query(sql, [self.stream.name, self.runtime.now(ahead=-86_400)])[0]["n"]

	def _event(self, row: Row, memory: Memory) -> Step | End:
		if memory.sent:
			return End("Delivered")
		if row["payload"] is None:
			return End("Rejected", row["error"] or _("The message could not be made."))
		payload = _json(row["payload"])
		values = {
			"id": row["name"],
			"payload": payload,
			"doc": payload,
			"operation": row["operation"],
		}
		step = self.requests.make("message", values, key=row["name"])
		if self.stream.send_to != "HTTP" or self.requests.body is not None:
			return step
		# The body that Standard Webhooks proposes, which is the same at each attempt.
		body = {"type": step.type, "timestamp": utc_made_at(row["name"]), "data": payload}
		return replace(step, body=body)

	def _ended(self, memory: Memory, said: str = "") -> End:
		return End("Delivered" if memory.sent else "Unchanged", said)

	def _key(self, row: Row, hash: str) -> str:
		"""Return the idempotency key: of stream, document and payload, and the delivery, for a value that comes back
		to what it was is another change, which a system that remembers the first one would not make."""
		return key(self.stream.name, row["document"], row["name"], hash)[:40]


TAKEN = "taken:"  # how the open key begins of a request that the system took without saying under which id
_MOST_DELETIONS = 1000


def _json(text: str | None) -> dict[str, Any]:
	try:
		found = json.loads(text or "{}")
	except (ValueError, RecursionError):
		return {}
	return found if isinstance(found, dict) else {}


def _value(text: str) -> Any:
	try:
		return json.loads(text)
	except (ValueError, RecursionError):
		return text
