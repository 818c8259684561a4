"""The sandbox as a system that records are sent to: what it takes, refuses and remembers, and how often that had an effect."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from integration_hub.sandbox.calls import Call, Reply

_MOST_IN_A_BATCH = 100


@dataclass
class Counts:
	"""Counts of the requests that had an effect, by kind, and of those that were repeats or were refused."""

	created: int = 0
	updated: int = 0
	deleted: int = 0
	repeated: int = 0
	refused: int = 0
	messages: int = 0


@dataclass
class _Record:
	values: dict[str, Any]
	version: int = 1


@dataclass
class Received:
	"""One collection of records that clients create, update and delete. Safe to call from several threads.

	requires: fields without which a record is refused. unique: fields of which no two records hold the same value.
	"""

	name: str
	requires: tuple[str, ...] = ()
	unique: tuple[str, ...] = ()
	counts: Counts = field(default_factory=Counts)
	messages: list[dict[str, Any]] = field(default_factory=list)
	_records: dict[str, _Record] = field(default_factory=dict)
	_keys: dict[str, Reply] = field(default_factory=dict)
	_next: int = 1
	_lock: Any = field(default_factory=threading.RLock)

	def all(self) -> dict[str, dict[str, Any]]:
		"""Return copies of the records by id."""
		with self._lock:
			return {id: dict(record.values) for id, record in self._records.items()}

	def put(self, id: str, **values: Any) -> None:
		"""Change or make a record as another client of the system would."""
		with self._lock:
			record = self._records.setdefault(id, _Record({}))
			record.values.update(values)
			record.version += 1

	def remove(self, id: str) -> None:
		"""Delete a record as another client of the system would."""
		with self._lock:
			self._records.pop(id, None)

	def answer(self, call: Call, parts: list[str]) -> Reply:
		"""Answer a request below the collection: parts is the path behind its name."""
		key = call.headers.get("idempotency-key", "")
		with self._lock:
			if key and call.method != "GET" and key in self._keys:
				self.counts.repeated += 1
				return self._keys[key]
			reply = self._answer(call, parts)
			if reply.status in (400, 404, 409, 412, 422):
				self.counts.refused += 1
			if key and call.method != "GET" and reply.status < 300:
				self._keys[key] = reply
			return reply

	def _answer(self, call: Call, parts: list[str]) -> Reply:
		if not parts:
			return self._create(_body(call)) if call.method == "POST" else self._list(call.query)
		if parts == ["batch"] and call.method == "POST":
			return self._batch(call)
		if parts == ["messages"] and call.method == "POST":
			return self._message(call)
		return self._one(call, parts[0])

	def _list(self, query: Mapping[str, str]) -> Reply:
		wanted = {name: value for name, value in query.items() if name not in ("limit", "page", "api_key")}
		rows = [
			self._shown(id)
			for id in self._records
			if all(str(self._records[id].values.get(name)) == value for name, value in wanted.items())
		]
		return Reply(200, {"data": rows})

	def _one(self, call: Call, id: str) -> Reply:
		record = self._records.get(id)
		if record is None:
			return Reply(404, {"error": f"{self.name} {id} does not exist"})
		if call.method == "GET":
			return self._said(200, id)
		wanted = call.headers.get("if-match")
		if wanted and wanted != _etag(record.version):
			return Reply(412, {"error": f"{self.name} {id} is at version {record.version}"})
		if call.method == "DELETE":
			del self._records[id]
			self.counts.deleted += 1
			return Reply(200, {"id": id, "deleted": True})
		return self._update(id, record, _body(call), call.method == "PUT")

	def _create(self, values: Any) -> Reply:
		if problem := self._problem(values):
			return Reply(422, {"error": problem})
		id = f"{self.name[:3].upper()}-{self._next:06d}"
		self._next += 1
		self._records[id] = _Record(dict(values))
		self.counts.created += 1
		return self._said(201, id)

	def _update(self, id: str, record: _Record, values: Any, whole: bool) -> Reply:
		if problem := self._problem(values if whole else {**record.values, **_mapping(values)}, id):
			return Reply(422, {"error": problem})
		record.values = dict(values) if whole else {**record.values, **values}
		record.version += 1
		self.counts.updated += 1
		return self._said(200, id)

	def _batch(self, call: Call) -> Reply:
		"""Answer records of which each has an outcome of its own: one with an id is updated, one without is created."""
		records = _mapping(_body(call)).get("records")
		if not isinstance(records, list) or len(records) > _MOST_IN_A_BATCH:
			return Reply(400, {"error": f"records must be a list of at most {_MOST_IN_A_BATCH}"})
		return Reply(200, {"results": [self._outcome(one) for one in records]})

	def _outcome(self, values: Any) -> dict[str, Any]:
		id = str(_mapping(values).get("id") or "")
		plain = {name: value for name, value in _mapping(values).items() if name != "id"}
		if id and id not in self._records:
			return {"status": 404, "error": f"{self.name} {id} does not exist"}
		reply = self._update(id, self._records[id], plain, True) if id else self._create(plain)
		return {"status": reply.status, **reply.body}

	def _message(self, call: Call) -> Reply:
		"""Take a message: the same webhook-id again is the same message."""
		id = call.headers.get("webhook-id", "")
		if id and any(one["id"] == id for one in self.messages):
			self.counts.repeated += 1
		else:
			self.counts.messages += 1
			self.messages.append({"id": id, "headers": dict(call.headers), "body": call.body.decode()})
		return Reply(200, {"ok": True})

	def _problem(self, values: Any, id: str = "") -> str:
		if not isinstance(values, dict):
			return "the body is not an object"
		for name in self.requires:
			if values.get(name) in (None, ""):
				return f"{name} is required"
		for name in self.unique:
			for other, record in self._records.items():
				if other != id and values.get(name) and record.values.get(name) == values[name]:
					return f"{name} {values[name]!r} is taken by {other}"
		return ""

	def _said(self, status: int, id: str) -> Reply:
		return Reply(status, self._shown(id), {"ETag": _etag(self._records[id].version)})

	def _shown(self, id: str) -> dict[str, Any]:
		record = self._records[id]
		return {**record.values, "id": id, "version": record.version}


def _etag(version: int) -> str:
	return f'"v{version}"'


def _body(call: Call) -> Any:
	try:
		return json.loads(call.body or b"null")
	except ValueError:
		return None


def _mapping(value: Any) -> dict[str, Any]:
	return value if isinstance(value, dict) else {}
