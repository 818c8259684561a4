"""Details of records: one request for each record of a list that changed, merged into what the list says.

A record whose entry in the list is as it was when its document was written is not asked for. One whose detail cannot be
fetched fails alone, and is tried again as any record that could not be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.bounded_jmespath import PathError, computes, search
from integration_hub.connectors.errors import (
	AuthenticationFailed,
	BreakerOpen,
	ConfigurationError,
	ConnectorError,
	RetryLater,
)
from integration_hub.connectors.known_secrets import KnownSecrets, is_secret
from integration_hub.connectors.placeholders import Template, TemplateError, path_text
from integration_hub.connectors.side_by_side import fetch_each
from integration_hub.lazy_messages import _
from integration_hub.stores import bindings
from integration_hub.stores.ids import content_hash
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import existing_names
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.mapping import DETAIL_FAILED, GONE, Mapper, MappingError
from integration_hub.sync.stream_slices import OUTER

SKIP, DELETED = "Skip", "Deleted"
_GONE = (404, 410)
_NOT_ONE_RECORD = (AuthenticationFailed, BreakerOpen, ConfigurationError, RetryLater)
# What decides about a record once its detail is there: where it changes, an entry that is as it was says nothing.
_RULES = (
	"record_endpoint",
	"record_answer_path",
	"detail_key",
	"detail_missing",
	"record_filter",
	"deleted_path",
	"skip_when",
	"after_writing",
	"submit_when",
	"cancel_when",
)
Record = Mapping[str, Any]


@dataclass
class Completed:
	"""The records of a page with their details.

	records: to be written. same: those that are as they were; their external ids are `known`. hashes: of the entries in
	the list, by external id.
	"""

	records: list[Record] = field(default_factory=list)
	same: list[Record] = field(default_factory=list)
	known: list[str] = field(default_factory=list)
	hashes: dict[str, str] = field(default_factory=dict)


class Details:
	"""Completes pages of one stream; without *Fetch Details* they are complete as they are."""

	def __init__(
		self, runtime: Runtime, stream: StreamConfig, connector: BaseConnector, mapper: Mapper
	) -> None:
		self._runtime, self._stream, self._connector, self._mapper = runtime, stream, connector, mapper
		self.missing = 0  # details that were not there, of records that were left as they are
		self._asked_as = content_hash([*(getattr(stream, name) for name in _RULES), _rows(stream)])

	def complete(self, records: Sequence[Record], every: bool = False) -> Completed:
		"""Return the records of a page with their details; not within a transaction.

		every: also of those that are as they were. Raises ConnectorError for what is not one record's fault.
		"""
		if not self._stream.fetch_details:
			return Completed(list(records))
		done, ids = Completed(), [self._id_of(record) for record in records]
		hashes = {id: content_hash([self._asked_as, record]) for id, record in zip(ids, records, strict=True)}
		same = set() if every else self._same({id: mark for id, mark in hashes.items() if id})
		done.hashes = {id: mark for id, mark in hashes.items() if id}
		wanted = [(id, record) for id, record in zip(ids, records, strict=True) if id and id not in same]
		details = self._fetched(wanted)
		for id, record in zip(ids, records, strict=True):
			if id in same:
				done.same.append(record)
				done.known.append(id)
			elif not id:
				done.records.append(record)
			elif (merged := next(details)) is not None:
				done.records.append(merged)
			else:
				done.same.append(record)
				done.known.append(id)
		return done

	def again(self, records: Sequence[Record]) -> list[Record]:
		"""Return records that are kept, with the details that could not be fetched before."""
		plain = [{name: record[name] for name in record if name != DETAIL_FAILED} for record in records]
		lacks = [DETAIL_FAILED in record for record in records]
		wanted = [(self._id_of(one), one) for one, lack in zip(plain, lacks, strict=True) if lack]
		details = self._fetched(wanted)
		found = [next(details) if lack else one for one, lack in zip(plain, lacks, strict=True)]
		lost = _("record_endpoint: the source has no detail of the record")
		return [
			{**one, DETAIL_FAILED: str(lost)} if merged is None else merged
			for one, merged in zip(plain, found, strict=True)
		]

	def _id_of(self, record: Record) -> str:
		"""Return the id of a record that has a detail; "" of one that is deleted, or cannot be told."""
		try:
			return "" if self._mapper.is_deleted(record) else self._mapper.external_id(record)
		except MappingError:
			return ""

	def _same(self, hashes: Mapping[str, str]) -> set[str]:
		"""Return the ids whose entry in the list is the one that their document was written by."""
		found = bindings.load(self._runtime.db, self._stream.name, hashes)
		bound = [one for one in found.values() if one.status == "Bound" and one.target_name]
		same = [one for one in bound if one.list_hash and one.list_hash == hashes[one.external_id]]
		names = [str(one.target_name) for one in same]
		there = existing_names(self._runtime.db, self._stream.target_doctype, names)
		return {one.external_id for one in same if one.target_name in there}

	def _fetched(self, wanted: Sequence[tuple[str, Record]]) -> Iterator[Any]:
		"""Return, for each record, what is to be written; None for one that is to be left as it is."""
		paths = (self._path(id, record) for id, record in wanted)
		answers = fetch_each(self._connector, paths, self._stream.lanes)
		for (id, record), answer in zip(wanted, answers, strict=True):
			yield self._outcome(id, record, answer)

	def _path(self, id: str, record: Record) -> str:
		values = {"id": id, "record": record, "parent": record.get(OUTER)}
		try:
			path = path_text(Template.read(self._stream.record_endpoint), values)
		except TemplateError as error:
			raise ConfigurationError(f"record_endpoint: {error}", field="record_endpoint") from None
		if path is None:
			problem = _("{0} has no value here", self._stream.record_endpoint)
			raise ConfigurationError(f"record_endpoint: {problem}", field="record_endpoint")
		return path

	def _outcome(self, id: str, record: Record, answer: Any) -> Record | None:
		if isinstance(answer, _NOT_ONE_RECORD):
			raise answer
		if isinstance(answer, ConnectorError) and answer.status in _GONE:
			self.missing += self._stream.detail_missing != DELETED
			return {**record, GONE: True} if self._stream.detail_missing == DELETED else None
		try:
			if isinstance(answer, ConnectorError):
				raise MappingError(str(answer))
			return self._merged(id, record, self._detail(answer))
		except (MappingError, PathError) as error:
			return {**record, DETAIL_FAILED: self._connector.redactor.text(error, 500)}

	def _detail(self, answer: Any) -> Mapping[str, Any]:
		inside = self._stream.record_answer_path
		if inside and computes(inside) and KnownSecrets(self._connector.redactor).stands_in_any(answer):
			raise MappingError(f"record_answer_path: {is_secret()}")
		found = search(inside, answer) if inside else answer
		if not isinstance(found, Mapping):
			raise MappingError(_("record_endpoint: the response is no object"))
		return found

	def _merged(self, id: str, record: Record, detail: Mapping[str, Any]) -> Record:
		if self._stream.detail_key:
			return {**record, self._stream.detail_key: detail}
		merged = {**record, **detail}
		if self._mapper.external_id(merged) != id:
			raise MappingError(_("record_endpoint: the response is not the record {0!r}", id))
		return merged


def _rows(stream: StreamConfig) -> list[tuple[Any, ...]]:
	return [astuple(row) for row in stream.mapping]
