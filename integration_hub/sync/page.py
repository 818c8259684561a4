"""One page of records into documents and bindings; the caller commits it together with its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integration_hub.connectors.redact import Redactor
from integration_hub.stores import bindings
from integration_hub.stores.bindings import Binding
from integration_hub.stores.errors import record_error
from integration_hub.stores.home import Change, Home, Target
from integration_hub.stores.runs import Counts
from integration_hub.stores.settings import existing_names
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.deletion import remove_document
from integration_hub.sync.mapping import Mapped, Mapper, MappingError

Record = Mapping[str, Any]


@dataclass
class _Page:
	"""A page while it is written. Of the same id twice, the later record counts."""

	records: dict[str, Record] = field(default_factory=dict)
	mapped: dict[str, Mapped] = field(default_factory=dict)
	failures: dict[str, Exception] = field(default_factory=dict)
	found: dict[str, Binding] = field(default_factory=dict)
	seen: list[Binding] = field(default_factory=list)
	changed: list[Binding] = field(default_factory=list)
	counts: Counts = field(default_factory=Counts)


class PageWriter:
	"""Writes pages of one stream.

	seen: the id of the run or event on whose behalf it writes; sorts by time.
	operation, where: what an error is logged under (see stores.errors.record_error).
	current: the records are the source's present state. An event may be older than what is bound
	already; then it changes nothing. A fetched record, too, is older than an event that came after it was
	fetched: what was seen after `seen` with a later source time stays.
	"""

	def __init__(
		self,
		home: Home,
		stream: StreamConfig,
		redactor: Redactor,
		*,
		seen: str,
		operation: str,
		current: bool = True,
		**where: str,
	):
		self.home, self.stream, self.redactor = home, stream, redactor
		self.seen, self.operation, self.current = seen, operation, current
		self.where = {"stream": stream.name, **where}
		self.mapper = Mapper(stream, home.local_time)
		self.target: Target = home.target(stream.target_doctype, stream.write_mode)
		self.first_error, self.error_log = "", None
		self.unidentified = 0  # records without a readable id: what they stand for cannot count as seen

	def write(self, records: Sequence[Record], *, deleted: bool | None = None) -> Counts:
		"""Write records within the current transaction; return what became of them.

		deleted: True or False if the caller knows; else the stream's deleted_path decides.
		"""
		page = _Page(counts=Counts(fetched=len(records)))
		self._map(page, records, deleted)
		page.found = bindings.load(self.home.db, self.stream.name, page.records)
		self._forget_lost_documents(page.found.values())
		self._remove(page)
		self._upsert(page)
		self._keep_failures(page)
		bindings.mark_seen(self.home.db, [binding.name for binding in page.seen], self.seen)
		bindings.save(self.home, self.stream.name, self.stream.target_doctype, page.changed)
		return page.counts

	def _map(self, page: _Page, records: Iterable[Record], deleted: bool | None) -> None:
		for record in records:
			try:
				external_id = self.mapper.external_id(record)
			except MappingError as error:
				page.counts.failed += 1
				self.unidentified += 1
				self._log(error, "")
				continue
			page.records[external_id] = record
			page.mapped.pop(external_id, None)
			page.failures.pop(external_id, None)
			try:
				page.mapped[external_id] = self.mapper.map(record, deleted=deleted, external_id=external_id)
			except MappingError as error:
				page.failures[external_id] = error

	def _forget_lost_documents(self, found: Iterable[Binding]) -> None:
		"""A document that a person deleted is made again, like one that never was."""
		bound = [binding for binding in found if binding.target_name]
		names = existing_names(self.home.db, self.stream.target_doctype, [b.target_name for b in bound])
		for binding in bound:
			if binding.target_name not in names:
				binding.target_name, binding.content_hash, binding.adopted = None, "", 0

	def _remove(self, page: _Page) -> None:
		for item in [mapped for mapped in page.mapped.values() if mapped.deleted]:
			binding = page.found[item.external_id]
			if binding.status == "Deleted" or self._is_stale(item, binding) or (binding.new and self.current):
				page.counts.unchanged += 1
				continue
			if binding.new:  # the event that made it is still on its way, and shall find that it is too late
				binding.status = "Deleted"
				self._settle(page, item, binding)
				page.counts.unchanged += 1
				continue
			if error := remove_document(self.home, self.stream, self.target, binding):
				page.failures[item.external_id] = error
				continue
			page.counts.deleted += 1
			self._settle(page, item, binding)

	def _upsert(self, page: _Page) -> None:
		items = [item for item in page.mapped.values() if not item.deleted and self._differs(page, item)]
		adopted = self._adopt(page, items)
		changes = []
		for item in items:
			binding = page.found[item.external_id]
			name = binding.target_name or adopted.get(item.external_id)
			changes.append(Change(item.external_id, name, {**self._enabled(binding), **item.values}))
		for item, change, outcome in zip(items, changes, self.target.write(changes), strict=True):
			if outcome.error:
				page.failures[item.external_id] = outcome.error
				continue
			page.counts.updated += bool(change.name)
			page.counts.created += not change.name
			binding = page.found[item.external_id]
			binding.adopted = binding.adopted or int(item.external_id in adopted)
			binding.status, binding.target_name = "Bound", outcome.name
			binding.content_hash = item.content_hash
			self._settle(page, item, binding)

	def _differs(self, page: _Page, item: Mapped) -> bool:
		"""Tell whether a record has to be written; counts and marks it as seen if not."""
		binding = page.found[item.external_id]
		same = binding.status == "Bound" and binding.content_hash == item.content_hash
		if not same and not self._is_stale(item, binding):
			return True
		page.counts.unchanged += 1
		page.seen.append(binding)
		return False

	def _is_stale(self, item: Mapped, binding: Binding) -> bool:
		"""Tell whether what is bound is newer than this record. A deletion wins over the same time."""
		known = binding.source_time or ""
		if not item.source_time:
			return False
		if item.deleted and item.source_time < known:
			return True  # it was made again since
		if self.current and binding.last_seen <= self.seen:
			return False
		return item.source_time < known or (binding.status == "Deleted" and item.source_time == known)

	def _enabled(self, binding: Binding) -> dict[str, Any]:
		"""The field that takes back an earlier Disable, for a record that is in the source again."""
		if self.stream.deletion_policy != "Disable" or binding.status != "Deleted":
			return {}
		return {self.stream.disable_field: {"1": 0, "0": 1}.get(self.stream.disable_value)}

	def _adopt(self, page: _Page, items: Sequence[Mapped]) -> dict[str, str]:
		"""Find documents that are there already, by the stream's match field; each is adopted once."""
		match = self.stream.match_field
		wanted = {
			str(item.values[match]): item.external_id
			for item in items
			if match and item.values.get(match) and not page.found[item.external_id].target_name
		}
		found = self.target.find(match, list(wanted)) if wanted else {}
		taken = bindings.bound_names(self.home.db, self.stream.name, list(found.values()))
		return {wanted[v]: name for v, name in found.items() if v in wanted and name not in taken}

	def _keep_failures(self, page: _Page) -> None:
		"""Keep what could not be written: the next run tries it again, and it counts as seen."""
		for external_id, error in page.failures.items():
			page.counts.failed += 1
			self._log(error, external_id)
			binding = page.found[external_id]
			binding.status, binding.content_hash, binding.last_seen = "Failed", "", self.seen
			binding.error = self.redactor.text(error, 500)
			binding.payload = json.dumps(page.records[external_id], default=str)
			binding.missing_run = None
			page.changed.append(binding)

	def _settle(self, page: _Page, item: Mapped, binding: Binding) -> None:
		binding.error = binding.payload = binding.missing_run = None
		known = "" if self.current else binding.source_time or ""
		binding.source_time = max(item.source_time, known) or binding.source_time
		binding.last_seen = self.seen
		page.changed.append(binding)

	def confirm(self, records: Sequence[Record]) -> None:
		"""Note, within the current transaction, that records were met on a second look."""
		names = []
		for record in records:
			try:
				external_id = self.mapper.external_id(record)
			except MappingError:
				self.unidentified += 1
				continue
			names.append(bindings.binding_name(self.stream.name, external_id))
		bindings.mark_seen(self.home.db, names, self.seen)

	def _log(self, error: Exception, external_id: str) -> None:
		name = record_error(
			self.home,
			error,
			operation=self.operation,
			integration=self.stream.integration,
			redactor=self.redactor,
			external_id=external_id[:500],
			**self.where,
		)
		self.error_log = self.error_log or name
		self.first_error = self.first_error or self.redactor.text(error, 300)


def failed_records(home: Home, stream: StreamConfig) -> Iterator[list[Record]]:
	"""Return, in batches, the records that earlier runs could not write."""
	where, last = "`stream` = %s AND `status` = 'Failed' AND `payload` IS NOT NULL", ""
	while batch := bindings.after(home.db, where, [stream.name], last):
		yield [json.loads(binding.payload) for binding in batch]
		last = batch[-1].name
