"""One delivery, from its claim to its end: decide, note, send, learn, until there is nothing more to say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from integration_hub.connectors import errors
from integration_hub.connectors.app_code import attempt
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.responses import NotJSON, loaded
from integration_hub.lazy_messages import _
from integration_hub.outbound.config import OutboundStream
from integration_hub.outbound.decide import TAKEN, Decider, End, Memory
from integration_hub.outbound.rendering import RenderError
from integration_hub.outbound.steps import NoValue, Step, at, found_in, id_in, version_in
from integration_hub.stores import deliveries, sent_records
from integration_hub.stores.database import Row, as_it_is, in_transaction, update
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.stores.sent_records import Sent
from integration_hub.stores.work_table import OUTBOX

_MOST_STEPS = 8
_SHOWN = 20_000  # characters of a request or answer that are kept
# The system refused the data, or the address: the same again would be refused again.
_REFUSED = (
	errors.InvalidRequest,
	errors.NotFound,
	errors.Gone,
	errors.Conflict,
	errors.UnexpectedStatus,
	errors.ServerCannot,
	errors.RefusedWithin,
)
# Nothing reached the system, or it says that it did not act.
_NO_EFFECT = (
	errors.ConnectionFailed,
	errors.RateLimited,
	errors.RequestNotReceived,
	errors.Paused,
	errors.BreakerOpen,
	errors.AuthenticationFailed,
	errors.AccessDenied,
	errors.ConfigurationError,
)


class ClaimLost(Exception):
	"""The sweep gave the delivery to another worker; this one must send nothing more."""


class Rejected(Exception):
	"""The system will not take the document as it is."""


class Put(Exception):
	"""A delivery ends in a state that a person has to look at. Carries the end."""

	def __init__(self, end: End) -> None:
		self.end = end
		super().__init__(end.error)


@dataclass
class Told:
	"""The last request and its answer, as they are kept."""

	request: str = ""
	response: str = ""
	http_status: int = 0
	title: str = ""


Send = Callable[[Step], requests.Response]


class Delivering:
	"""Sends the deliveries of one stream. send: sends one step, and raises ConnectorError."""

	def __init__(
		self, runtime: Runtime, stream: OutboundStream, connector: BaseConnector, send: Send
	) -> None:
		self.runtime, self.stream, self.connector, self._send = runtime, stream, connector, send
		self.decider = Decider(runtime, stream)

	def deliver(self, row: Row, told: Told, memory: Memory) -> End:
		"""Send what there is to say of a claimed delivery; return its end.

		Raises ClaimLost, Unbound, HubError, ConnectorError; Rejected for what the system will not take.
		"""
		for _number in range(_MOST_STEPS):
			step = in_transaction(self.runtime.db, lambda: self._begin(row, memory))
			if isinstance(step, End):
				return step
			self._take(row, step, memory, told)
		raise Rejected(_("There is no end to the requests of this delivery."))

	def _begin(self, row: Row, memory: Memory) -> Step | End:
		"""Decide the next step, and note it before it is sent, within one transaction. Raises ClaimLost."""
		self._hold(row)
		try:
			step = self.decider.next(row, memory)
		except (RenderError, NoValue) as error:
			raise Rejected(str(error)) from None
		if isinstance(step, Step) and step.kind == "create":
			payload = json.dumps(memory.rendered.payload, ensure_ascii=False, default=str)
			noted = {
				"open_key": step.key,
				"open_request": step.frozen,
				"payload_hash": step.hash,
				"payload": payload,
			}
			update(self.runtime.db, deliveries.DOCTYPE, row["name"], noted)
		return step

	def _hold(self, row: Row) -> None:
		"""Renew the claim, and take the document's present name; raises ClaimLost."""
		values = {"claimed_at": self.runtime.now()}
		where = f"`claim` = %(claim)s AND `status` = '{OUTBOX.taken}'"
		if not update(
			self.runtime.db, deliveries.DOCTYPE, row["name"], values, where=where, claim=row["claim"]
		) or self._is_rival(row):
			raise ClaimLost(row["name"])

	def _is_rival(self, row: Row) -> bool:
		"""Tell whether another delivery of the document is being sent, under a key from before it was renamed."""
		sql = f"""SELECT `name`, `document`, `approved` FROM `tab{deliveries.DOCTYPE}` WHERE `name` = %s"""
		now = self.runtime.db.query(sql, [row["name"]])[0]
		row.update(document=now["document"], approved=now["approved"])
		if self.stream.is_event:
			return False
		sql = f"""SELECT 1 FROM `tab{deliveries.DOCTYPE}` WHERE `document` = %s AND `stream` = %s
			AND `status` = '{OUTBOX.taken}' AND `name` <> %s AND `ordering_key` <> %s LIMIT 1"""
		mine = [row["document"], self.stream.name, row["name"], row["ordering_key"]]
		return bool(self.runtime.db.query(sql, mine))

	def _take(self, row: Row, step: Step, memory: Memory, told: Told) -> None:
		"""Send a step and learn from what it brings. Raises what `deliver` raises."""
		self._note_request(step, told)
		try:
			response = self._send(step)
		except errors.ConnectorError as error:
			told.response, told.http_status = self._clipped(error.body), error.status or 0
			self._failed(row, step, memory, error)
			return
		told.response, told.http_status = self._clipped(response.text), response.status_code
		getattr(self, f"_{step.kind.replace(' ', '_')}")(row, step, memory, response)

	def _note_request(self, step: Step, told: Told) -> None:
		told.request = self._clipped(json.dumps(step.shown, indent=1, ensure_ascii=False, default=str))
		told.title = (
			f"{step.method} {step.path}"[:140] if self.stream.send_to == "HTTP" else self.stream.redis_key
		)
		told.response, told.http_status = "", 0

	def _clipped(self, text: str) -> str:
		return self.connector.redactor.text(text, _SHOWN)

	def _failed(self, row: Row, step: Step, memory: Memory, error: errors.ConnectorError) -> None:
		"""Learn from an error, or raise it: a record that is gone, a version that is not the present one."""
		if step.kind == "create" and isinstance(error, (*_NO_EFFECT, *_REFUSED)):
			in_transaction(self.runtime.db, lambda: self._unnote(row, step))
		if step.kind in ("delete", "disable") and isinstance(error, errors.NotFound | errors.Gone):
			self._removed(row, step, memory)
		elif step.kind in ("update", "read") and isinstance(error, errors.NotFound | errors.Gone):
			memory.gone = True
		elif (
			step.kind == "update"
			and error.status in (409, 412)
			and memory.version is None
			and self._is_guarded(step)
		):
			self._refresh(row, memory)
		elif step.kind == "update" and error.status == 412:
			raise errors.ServerError(
				str(error), status=412
			) from None  # others write it just now: later again
		elif step.kind == "look up" and isinstance(error, errors.NotFound):
			memory.looked, memory.found = True, ""
		elif isinstance(error, _REFUSED):
			raise Rejected(self.connector.redactor.text(error, 500)) from error
		else:
			raise error

	def _is_guarded(self, step: Step) -> bool:
		return self.stream.precondition == "If-Match" and "If-Match" in step.headers

	def _unnote(self, row: Row, step: Step) -> None:
		"""Forget a request that surely had no effect, unless an earlier one is still open under its key."""
		values = {"open_key": None, "open_request": None}
		where = "`open_key` = %(key)s"
		update(self.runtime.db, deliveries.DOCTYPE, row["name"], values, where=where, key=step.key)

	def _refresh(self, row: Row, memory: Memory) -> None:
		"""Ask for the record's present version. In this direction the site's state wins over the system's."""
		record = in_transaction(self.runtime.db, lambda: self._record(row))  # no call within a transaction
		values = self.decider.values(row, memory.rendered, {}, record["external_id"])
		response = self._send(self.decider.requests.make("read", values))
		memory.version = version_in(self.stream, self._answer(response), response.headers.get("ETag", ""))

	def _answer(self, response: requests.Response) -> Any:
		"""Return what an answer says, None where it says nothing; raises MalformedAnswer."""
		try:
			return loaded(response)
		except NotJSON as error:
			said = self.connector.redactor.text(error, 300)
			raise errors.MalformedAnswer(said, status=response.status_code) from None

	def _look_up(self, row: Row, step: Step, memory: Memory, response: requests.Response) -> None:
		found = found_in(self.stream, self._answer(response), memory.rendered.payload)
		if len(set(found)) > 1:
			said = _(
				"The system has several records with the same {0}: {1}",
				self.stream.lookup_match,
				", ".join(found[:5]),
			)
			raise Put(End("Conflict", said))
		memory.looked, memory.found = True, found[0] if found else ""
		if memory.found:
			in_transaction(self.runtime.db, lambda: self._adopt(row, memory))

	def _adopt(self, row: Row, memory: Memory) -> None:
		"""Bind the record that was found. It is one of ours if we asked for its creation and never heard of it."""
		self._follow(row)
		opened = deliveries.open_request(self.runtime, self.stream.name, row["document"])
		for record in sent_records.records_of(self.runtime, self.stream.name, row["document"]):
			if record["external_id"] != memory.found:  # which is gone
				sent_records.mark_gone(self.runtime, record["name"], row["name"])
		memory.gone = False
		sent = Sent(memory.found, "", "", "", adopted=not opened)
		self._bind(row, sent)

	def _follow(self, row: Row) -> None:
		"""Take the document's present name, which stays until the end of the current transaction: it may have been renamed
		while the request was under way."""
		sql = (
			f"SELECT `document` FROM `tab{deliveries.DOCTYPE}` WHERE `name` = %s {as_it_is(self.runtime.db)}"
		)
		for now in self.runtime.db.query(sql, [row["name"]]):
			row["document"] = now["document"]

	def _bind(self, row: Row, sent: Sent) -> None:
		"""Bind a record within the current transaction; raises Put where it stands for another document."""
		self._follow(row)
		held = sent_records.holder(self.runtime, self.stream.name, sent.external_id)
		other = held and held["status"] != "Deleted" and held["target_name"]
		if other and other != row["document"]:
			raise Put(End("Conflict", _("Record {0} stands for {1} already.", sent.external_id, other)))
		doctype = self.stream.target_doctype
		sent_records.bind(self.runtime, self.stream.name, doctype, row["document"], sent, row["name"])
		deliveries.close_requests(self.runtime, self.stream.name, row["document"])

	def _create(self, row: Row, step: Step, memory: Memory, response: requests.Response) -> None:
		memory.resent = True
		if not (200 <= response.status_code < 300):
			raise Rejected(_("The system answered {0}.", response.status_code))
		answer = None
		with attempt() as reading:
			answer = self._answer(response)
		payload = memory.rendered.payload
		id = id_in(self.stream, answer, response.headers.get("Location", ""), payload)
		if not id:
			self._taken_without_id(row, step, reading.error)
		sent = self._sent(step, memory, answer, response, id)
		in_transaction(self.runtime.db, lambda: self._bind(row, sent))
		memory.sent = True
		self._write_back(row, answer)

	def _taken_without_id(self, row: Row, step: Step, error: Exception | None) -> None:
		"""Note that the system has the record, under an id that nobody knows; raises what the delivery ends with."""
		values = {"open_key": f"{TAKEN}{step.key}"}
		in_transaction(
			self.runtime.db, lambda: update(self.runtime.db, deliveries.DOCTYPE, row["name"], values)
		)
		if error:
			raise error
		raise errors.MalformedAnswer(f"id_path: the answer holds no id at {self.stream.id_path!r}")

	def _sent(self, step: Step, memory: Memory, answer: Any, response: requests.Response, id: str) -> Sent:
		"""Return what the system took with a step. What a repeated request said is not what the document says now."""
		rendered = memory.rendered
		is_now = step.hash == rendered.hash
		payload = json.dumps(rendered.payload, ensure_ascii=False, default=str) if is_now else ""
		version = version_in(self.stream, answer, response.headers.get("ETag", ""))
		return Sent(id, step.hash, payload, rendered.modified if is_now else "", version)

	def _update(self, row: Row, step: Step, memory: Memory, response: requests.Response) -> None:
		answer = None
		with attempt():  # it took the update, whatever it says
			answer = self._answer(response)
		in_transaction(self.runtime.db, lambda: self._updated(row, step, memory, answer, response))
		memory.sent = True
		self._write_back(row, answer)

	def _updated(
		self, row: Row, step: Step, memory: Memory, answer: Any, response: requests.Response
	) -> None:
		"""Note what the document's record holds now, within the current transaction."""
		self._bind(row, self._sent(step, memory, answer, response, self._record(row)["external_id"]))

	def _record(self, row: Row) -> Row:
		"""Return the first of the document's records, within the current transaction."""
		self._follow(row)
		return sent_records.records_of(self.runtime, self.stream.name, row["document"])[0]

	def _message(self, row: Row, step: Step, memory: Memory, response: requests.Response) -> None:
		memory.sent = True
		if self.stream.is_event:
			return
		if step.body and memory.rendered:
			sent = self._sent(step, memory, None, response, row["document"])
			in_transaction(self.runtime.db, lambda: self._bind(row, sent))
		else:
			self._removed(row, step, memory)

	def _delete(self, row: Row, step: Step, memory: Memory, response: requests.Response) -> None:
		self._removed(row, step, memory)

	_disable = _delete

	def _removed(self, row: Row, step: Step, memory: Memory) -> None:
		"""Note that the first of the document's records is gone, or is disabled."""

		def note() -> None:
			record = self._record(row)
			gone = sent_records.let_go if step.kind == "disable" else sent_records.mark_gone
			gone(self.runtime, record["name"], row["name"])
			deliveries.close_requests(self.runtime, self.stream.name, row["document"])

		in_transaction(self.runtime.db, note)
		memory.sent = memory.removed = True

	def _write_back(self, row: Row, answer: Any) -> None:
		"""Write what the answer says into the document, which fires nothing; what fails is no failure of the delivery."""
		record = at(self.stream.record_answer_path, answer) if answer is not None else None
		values = {field: at(path, record) for field, path in self.stream.written_back.items()}
		values = {field: value for field, value in values.items() if isinstance(value, str | int | float)}
		if not values:
			return
		with attempt(self.runtime.db.is_transient) as writing:
			in_transaction(
				self.runtime.db,
				lambda: self.runtime.write_back(self.stream.target_doctype, row["document"], values),
			)
		if writing.error:
			raise HubError(
				_("could not be written back: {0}", str(writing.error)[:200]),
				doctype=self.stream.target_doctype,
				name=row["document"],
				field="write_back",
			)
