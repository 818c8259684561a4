"""Handling of an event: its route's action, within the transaction that completes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NoReturn

from integration_hub.connectors.app_code import contained
from integration_hub.connectors.bounded_jmespath import PathError, search
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.header_fields import HEADER, HeaderFields, header_mentions, with_header_fields
from integration_hub.connectors.json_text import read_json
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.registry import resolve
from integration_hub.lazy_messages import _
from integration_hub.stores import bindings
from integration_hub.stores.database import Row
from integration_hub.stores.ids import new_id, utc_made_at
from integration_hub.stores.runs import last_number
from integration_hub.stores.runtime import HubError, Runtime, Target
from integration_hub.stores.seen_marks import event_mark
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.flatten import flattened
from integration_hub.sync.mapping import Mapper
from integration_hub.sync.page_plan import Moment
from integration_hub.sync.page_writer import PageWriter
from integration_hub.sync.run import load_stream
from integration_hub.sync.schedule import want
from integration_hub.sync.stream_slices import OUTER
from integration_hub.webhooks.defer import Defer
from integration_hub.webhooks.events import Route
from integration_hub.webhooks.identity import scalar
from integration_hub.webhooks.records import Records, acting
from integration_hub.webhooks.schemes import scheme_for
from integration_hub.webhooks.source_confirmation import HELD, Asked, Held, ask, identified, is_unsigned

Reference = dict[str, str]
Change = tuple[
	Mapping[str, Any], bool | None, Moment
]  # a record, whether it is known to be deleted, and when
FETCH = "Fetch Record"


class HandlerFailed(Exception):
	"""The record of an event could not be written; the text says why."""


class Handling:
	"""Handles events; what settings it needs it reads once. Made again for each batch, so that changes count.

	wrap_target: put around what records are written with, for a replay that only shows what it would do.
	"""

	def __init__(
		self,
		runtime: Runtime,
		redactor: Redactor,
		wrap_target: Callable[[Target], Target] = lambda target: target,
	) -> None:
		self.runtime, self.redactor, self._wrap = runtime, redactor, wrap_target
		self._stream = cache(lambda name: load_stream(runtime, name))
		self._schemes: dict[str, Container[str]] = {}
		self._handlers: Mapping[str, str] | None = None

	def handle(self, row: Row, route: Route) -> Reference:
		"""Do what the route says with an event; return the document it made, as columns of its row.

		Raises whatever keeps it from being done; the caller rolls back.
		"""
		payload = read_json(row["payload"])
		if route.action in ("Upsert Record", FETCH):
			return self._write_record(row, route, payload, deleted=None)
		if route.action == "Delete Record":
			return self._write_record(row, route, payload, deleted=True)
		if route.action == "Start Sync":
			want(self.runtime, route.stream)  # commits with the event; the next tick takes it up
		elif route.action == "Call Function":
			with acting(self._records(row)):
				self._function(row, route)(payload, _about(row))
		elif route.action == "Run Server Script":
			names = {"payload": payload, "event": _about(row), "defer": _defer}
			records = self._records(row).for_scripts()
			self.runtime.run_script(route.server_script, {**names, "records": records})
		elif route.action != "Ignore":
			raise HubError(
				_("unknown action {0!r}", route.action),
				doctype="Integration Settings",
				name=row["integration"],
			)
		return {}

	def _records(self, row: Row) -> Records:
		return Records(self.runtime, row["name"], _moment(row))

	def is_to_confirm(self, row: Row, route: Route) -> bool:
		"""Tell whether the source is asked before an event is handled.

		It is where the route says so, and where the event would remove a record because of what its sender has not signed.
		"""
		return route.action == FETCH or (route.action == "Delete Record" and self._is_unproven(row, route))

	def _is_unproven(self, row: Row, route: Route) -> bool:
		"""Tell whether an event is told apart, or its record named, by what its sender has not signed."""
		if is_unsigned(row) or row.get("unsigned") is None:  # none: a person has looked at it
			return is_unsigned(row)
		return any(name not in self._signed(row["integration"]) for name in route.headers)

	def ask(self, row: Row, route: Route) -> Asked:
		"""Return what the source says of the record of an event; not within a transaction. Raises what `ask` does."""
		stream = self._stream(route.stream)
		return ask(self.runtime, stream, self._external_id(row, route, stream))

	def _external_id(self, row: Row, route: Route, stream: StreamConfig) -> str:
		payload = read_json(row["payload"])
		if not (route.action == FETCH and route.record_id_path):
			mapper = Mapper(stream, self.runtime.local_time, self.runtime.transforms())
			return mapper.external_id(self._record(row, route, payload))
		if found := scalar(payload, route.record_id_path, headers_of(row)):
			return found
		raise HandlerFailed(f"There is no id at {route.record_id_path!r} of the event.")

	def _record(self, row: Row, route: Route, payload: Any) -> Mapping[str, Any]:
		"""Return the record that an event tells of, with what is around the event; raises HandlerFailed."""
		path = route.record_path
		try:
			record = search(path, with_header_fields(payload, headers_of(row), path)) if path else payload
		except PathError as error:
			raise HandlerFailed(f"record_path {route.record_path[:80]!r}: {error}") from None
		if not isinstance(record, Mapping):
			raise HandlerFailed(
				f"There is no record at {route.record_path or '(whole body)'!r} of the event."
			)
		if isinstance(payload, Mapping) and OUTER in payload and OUTER not in record:
			record = {**record, OUTER: payload[OUTER]}
		return record

	def _write_record(self, row: Row, route: Route, payload: Any, *, deleted: bool | None) -> Reference:
		"""Write or remove one record through the stream's mapping and bindings, as a sync would.

		Raises Held where what it would remove or empty is told by what the sender has not signed.
		"""
		stream: StreamConfig = self._stream(route.stream)
		if route.action == FETCH:
			record, deleted, moment = self._fetched(row.get("asked"), route, stream)
		else:
			record, deleted, moment = self._told(
				row, route, stream, self._record(row, route, payload), deleted
			)
		# A webhook body holds the record where the route says; a list's own deletion mark may not apply.
		stream = stream if deleted is None else replace(stream, deleted_path="")
		writer = PageWriter(
			self.runtime,
			stream,
			self.redactor,
			mark=event_mark(row["name"], last_number(self.runtime.db, stream.name)),
			operation="Webhook",
			current=False,
			moment=moment,
			webhook_log=row["name"],
		)
		writer.planner.target = self._wrap(writer.planner.target)
		records = _flattened(_with_headers(record, row, stream), stream)
		if deleted and not records:
			raise HandlerFailed(
				f"The event's record is deleted and has nothing at flatten_path {stream.flatten_path!r}, so which "
				"records of the stream are gone is not known. Have the route Start Sync instead."
			)
		counts = writer.write(records, deleted=deleted)
		if not records:
			return {}
		external_id = writer.mapper.external_id(records[0])
		binding = bindings.load(self.runtime.db, stream.name, [external_id])[external_id]
		if counts.failed > writer.settled:
			raise HandlerFailed(writer.first_error or "The record could not be written.")
		if binding.target_name:
			return {"reference_doctype": stream.target_doctype, "reference_name": binding.target_name}
		return {}

	def _told(
		self, row: Row, route: Route, stream: StreamConfig, record: Mapping[str, Any], deleted: bool | None
	) -> Change:
		"""Return what an event says of its record; raises Held for what is not signed and not confirmed."""
		moment = _moment(row)
		if self.is_to_confirm(row, route):
			if not row.get("asked"):
				raise Held(str(HELD))
			if row["asked"].record is not None:  # the source has it: its present state is written
				return row["asked"].record, None, Moment(utc_made_at(new_id()))
		elif deleted is None and is_unsigned(row) and _says_nothing(stream, record):
			said = _(
				"The event's type is not signed, and its record has nothing but an id, as for a deletion."
			)
			raise Held(str(said))
		return record, deleted, moment

	def _fetched(self, asked: Asked | None, route: Route, stream: StreamConfig) -> Change:
		"""Return what the source has answered; raises HandlerFailed where it has no such record, and may not delete it.

		Raises Held where nobody knows where to ask.
		"""
		if asked is None:
			raise Held(str(_("The stream has no Endpoint of One Record, so the record cannot be fetched.")))
		if asked.record is not None:
			return asked.record, None, Moment(asked.at)
		if not route.delete_if_gone:
			raise HandlerFailed(f"The source has no record {asked.external_id!r} (404 or 410).")
		return identified(stream, asked.external_id), True, Moment(asked.at)

	def _signed(self, integration: str) -> Container[str]:
		"""Return the headers that an integration's sender signs."""
		if integration not in self._schemes:
			config = self.runtime.integration(integration)
			self._schemes[integration] = scheme_for(config, self.runtime.schemes()).signed_headers
		return self._schemes[integration]

	def _function(self, row: Row, route: Route) -> Callable[[Any, Mapping[str, Any]], None]:
		"""Return a registered function; raises HubError for any other name."""
		if self._handlers is None:
			self._handlers = self.runtime.handlers()
		if route.handler not in self._handlers:
			raise HubError(
				_("handler {0!r} is not registered", route.handler),
				doctype="Integration Settings",
				name=row["integration"],
				field="routes",
			)
		return contained(resolve(self._handlers[route.handler]))


def headers_of(row: Row) -> HeaderFields:
	"""Return the headers that an event keeps."""
	return HeaderFields(json.loads(row.get("headers") or "{}"))


def _with_headers(record: Mapping[str, Any], row: Row, stream: StreamConfig) -> Mapping[str, Any]:
	"""Return a record with the headers of its event, where the stream's mapping names any."""
	paths = [stream.id_path, stream.updated_at_path, stream.record_filter]
	named = "\n".join([*paths, *(item.source_path for item in stream.mapping)])
	return with_header_fields(record, headers_of(row), named) if header_mentions(named) else record


def _flattened(record: Mapping[str, Any], stream: StreamConfig) -> list[Mapping[str, Any]]:
	"""Return the records that an event's record stands for in a stream; raises HandlerFailed."""
	if not stream.flatten_path:
		return [record]
	try:
		return list(flattened([record], stream.flatten_path))
	except MalformedAnswer as error:
		raise HandlerFailed(error.detail) from None


def _moment(row: Row) -> Moment:
	"""Return when an event's change happened: as its sender says, at the latest when it was received.

	A time that is not signed dates no update, which it could have win over a later one.
	"""
	received = utc_made_at(row["name"]) or utc_made_at(new_id())
	told = min(row.get("event_time") or "", received)
	return Moment(received, changed="" if is_unsigned(row, "time") else told, deleted=told)


def _says_nothing(stream: StreamConfig, record: Mapping[str, Any]) -> bool:
	"""Tell whether a record holds nothing of what is mapped but its id, which would empty its document."""
	if stream.deleted_path and _is_there(stream.deleted_path, record):
		return False  # the body itself, which is signed, says whether it is deleted
	paths = {row.source_path for row in stream.mapping if row.source_path} - {stream.id_path}
	return bool(paths) and not any(_is_there(path, record) for path in paths)


def _is_there(path: str, record: Mapping[str, Any]) -> bool:
	try:
		return search(path, record) not in (None, "", [], {})
	except PathError:
		return False


def _about(row: Row) -> dict[str, Any]:
	"""Return what a function or script gets to know of an event besides its payload."""
	told = ("integration", "event_type", "event_id", "name", "attempts", "deferrals")
	about = {name: row[name] for name in told}
	return {**about, "unsigned": row.get("unsigned") or "", HEADER: headers_of(row)}


def _defer(seconds: float) -> NoReturn:
	"""Raise Defer, for scripts, which cannot import it."""
	raise Defer(seconds)
