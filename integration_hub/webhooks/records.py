"""Records for code that handles events: written, removed, bound and looked up through streams, as events are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from integration_hub.connectors.secrets import redactor_for
from integration_hub.lazy_messages import _
from integration_hub.stores import bindings
from integration_hub.stores.ids import new_id, utc_made_at
from integration_hub.stores.runs import last_number
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.stores.seen_marks import event_mark
from integration_hub.stores.settings import existing_names
from integration_hub.sync.config import StreamConfig, load_stream
from integration_hub.sync.flatten import flattened
from integration_hub.sync.page_plan import Moment
from integration_hub.sync.page_writer import PageWriter
from integration_hub.webhooks.source_confirmation import identified


class RecordsFailed(Exception):
	"""Records that could not be written or removed; the text says why the first one could not."""


class Records:
	"""The streams of a runtime, for code. All it does is part of the current transaction.

	event: the event on whose behalf it acts, by its row's name. moment: when what that tells happened.
	"""

	def __init__(self, runtime: Runtime, event: str = "", moment: Moment | None = None) -> None:
		self._runtime, self._event = runtime, event
		self._moment = moment or Moment(utc_made_at(new_id()))

	def upsert(self, stream: str, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
		"""Write records through a stream's mapping; return the documents' names by external id.

		Raises RecordsFailed if one of them cannot be written, HubError if there is no such stream.
		"""
		config = load_stream(self._runtime, stream)
		flat = list(flattened(records, config.flatten_path) if config.flatten_path else records)
		writer = self._write(config, flat, deleted=None)
		ids = [writer.mapper.external_id(record) for record in flat]
		return bindings.names_of(self._runtime.db, stream, ids)

	def delete(self, stream: str, external_ids: Sequence[str]) -> None:
		"""Remove the documents of records as the stream's Deletion Policy says; what is not bound is no error.

		Raises RecordsFailed if one of them cannot be removed, HubError if there is no such stream.
		"""
		config = replace(load_stream(self._runtime, stream), deleted_path="")
		self._write(config, [identified(config, external_id) for external_id in external_ids], deleted=True)

	def bind(self, stream: str, external_id: str, document: str) -> None:
		"""Have a document that is there stand for a record from now on; the stream never deletes it.

		Raises HubError if there is no such document, or if one of the two is bound already to another.
		"""
		config, db = load_stream(self._runtime, stream), self._runtime.db
		binding = bindings.load(db, stream, [external_id])[external_id]
		if binding.target_name == document and binding.status != "Deleted":
			return
		self._check_free(config, binding, document)
		mark = event_mark(self._event or new_id(), last_number(db, stream))
		bindings.hold(db, [] if binding.new else [binding])
		bindings.take(self._runtime, stream, config.target_doctype, mark, [binding])
		binding.status, binding.target_name, binding.adopted = "Bound", document, 1
		binding.content_hash, binding.written = "", "first"
		binding.settle()
		bindings.save(self._runtime, stream, config.target_doctype, mark, [binding], self._event)

	def document_of(self, stream: str, external_id: str) -> str | None:
		"""Return the name of the document that stands for a record, None if there is none."""
		return bindings.names_of(self._runtime.db, stream, [external_id]).get(external_id)

	def external_id_of(self, document: str, stream: str) -> str | None:
		"""Return the external id of the record that a document stands for in a stream, None if it stands for none."""
		return bindings.external_id_of(self._runtime.db, stream, document)

	def for_scripts(self) -> SimpleNamespace:
		"""Return the functions alone, for a script that may not reach what is behind them."""
		names = ("upsert", "delete", "bind", "document_of", "external_id_of")
		return SimpleNamespace(**{name: getattr(self, name) for name in names})

	def _write(
		self, stream: StreamConfig, records: Sequence[Mapping[str, Any]], *, deleted: bool | None
	) -> PageWriter:
		where = {"webhook_log": self._event} if self._event else {}
		writer = PageWriter(
			self._runtime,
			stream,
			redactor_for(self._runtime.secrets(stream.integration)),
			mark=event_mark(self._event or new_id(), last_number(self._runtime.db, stream.name)),
			operation="Webhook",
			current=False,
			moment=self._moment,
			**where,
		)
		if writer.write(records, deleted=deleted).failed > writer.settled:
			raise RecordsFailed(writer.first_error or "A record could not be written.")
		return writer

	def _check_free(self, stream: StreamConfig, binding: bindings.Binding, document: str) -> None:
		"""Raise HubError where a document cannot be bound."""
		place = {"doctype": "Sync Settings", "name": stream.name}
		known = existing_names(
			self._runtime.db, stream.target_doctype, list(filter(None, (document, binding.target_name)))
		)
		if document not in known:
			raise HubError(_("{0} {1} does not exist", stream.target_doctype, document), **place)
		if binding.target_name in known and binding.status != "Deleted":
			raise HubError(
				_("record {0!r} is bound to {1} already", binding.external_id, binding.target_name), **place
			)
		if other := self.external_id_of(document, stream.name):
			raise HubError(_("{0} is bound to record {1!r} already", document, other), **place)


_current: ContextVar[Records | None] = ContextVar("integration_hub_records", default=None)


@contextmanager
def acting(records: Records) -> Iterator[Records]:
	"""Have code within the block act through these records."""
	token = _current.set(records)
	try:
		yield records
	finally:
		_current.reset(token)


def current() -> Records | None:
	"""Return the records that the code which is being run acts through, None outside of events."""
	return _current.get()
