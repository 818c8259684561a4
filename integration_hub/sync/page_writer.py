"""One page of records into documents and bindings; the caller commits it together with its checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from math import inf

from integration_hub.connectors.app_code import error_text
from integration_hub.connectors.redact import Redactor
from integration_hub.stores import bindings
from integration_hub.stores.bindings import Binding, Part
from integration_hub.stores.database import LONG_ENOUGH, BrokenTransaction, Outdated, chunks, update
from integration_hub.stores.error_log import record_error
from integration_hub.stores.failure_closing import CANCELLED, RECORD, close_records
from integration_hub.stores.runs import Counts, Run
from integration_hub.stores.runtime import LeftAsItIs, Runtime
from integration_hub.stores.seen_marks import Mark
from integration_hub.stores.status_facts import restate
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.deletion import is_quiet, needs_approval, remove_documents
from integration_hub.sync.details import Completed, Details
from integration_hub.sync.error_hints import explained
from integration_hub.sync.failed_payloads import payload_of
from integration_hub.sync.mapping import Mapped, Mapper, MappingError
from integration_hub.sync.page_plan import Moment, Plan, Planner, Record


class PageWriter:
	"""Writes pages of one stream.

	mark: of the run or event on whose behalf it writes.
	operation, where: what an error is logged under (see stores.error_log.record_error).
	current: the records are the source's present state. An event may be older than what is bound
	already; then it changes nothing. A fetched record, too, is older than an event that came after it was
	fetched: what was seen since the run began, with a later source time, stays.
	run: the run it writes for; it may not remove more than the stream allows without approval.
	moment: when what an event tells happened.
	"""

	def __init__(
		self,
		runtime: Runtime,
		stream: StreamConfig,
		redactor: Redactor,
		*,
		mark: Mark,
		operation: str,
		current: bool = True,
		run: Run | None = None,
		moment: Moment | None = None,
		**where: str,
	) -> None:
		self.runtime, self.stream, self.redactor = runtime, stream, redactor
		self.operation, self.where = operation, {"stream": stream.name, **where}
		self.run = run
		self._live: int | None = None
		self.planner = Planner(runtime, stream, mark=mark, current=current, moment=moment, redactor=redactor)
		self.first_error, self.error_log = "", None
		self.overruled: set[str] = set()  # fields in which documents hold something else than they were given
		self.unidentified = run.unidentified if run else 0
		self.retrying = False  # are these records that earlier runs could not write?
		self.settled = 0  # failures that were said, and are not tried again
		self.skipped = 0  # records that the stream's rules left alone
		self.details: Details | None = None  # fetches what the records of the list leave out
		self.part = Part()  # which of the stream's lists the records are of
		self.given_up = 0  # records that were tried for the last time

	@property
	def mapper(self) -> Mapper:
		"""Return the mapper of the planner."""
		return self.planner.mapper

	def know(self, redactor: Redactor) -> None:
		"""Take another redactor: a connector's own knows the tokens it was given, too."""
		self.redactor = redactor
		self.planner.know(redactor)

	@property
	def mark(self) -> Mark:
		"""Return the run's mark, by which a record is known as seen."""
		return self.planner.mark

	@property
	def _by(self) -> str:
		"""Return the row of the run or event it writes for, which tells later where a document came from."""
		return self.run.name if self.run else self.where.get("webhook_log") or ""

	def write(self, records: Sequence[Record], *, deleted: bool | None = None, again: bool = False) -> Counts:
		"""Write records within the current transaction; return what became of them.

		deleted: True or False if the caller knows; else the stream's deleted_path decides.
		again: it is a second pass at a list; only what it changes counts.
		"""
		return self._write(records, deleted, again, inf)[0]

	def write_some(self, records: Sequence[Record], *, again: bool = False) -> tuple[Counts, list[Record]]:
		"""Write records for about a second; return what became of them, and those that are left.

		What is left is for the next transaction: one that goes on holds what controllers lock, a naming series
		among it, and nobody else can save.
		"""
		return self._write(records, None, again, time.monotonic() + LONG_ENOUGH)

	def _write(
		self, records: Sequence[Record], deleted: bool | None, again: bool, until: float
	) -> tuple[Counts, list[Record]]:
		before = (self.first_error, self.error_log, self.unidentified, self.skipped, self.settled)
		whole = False
		try:
			plan = self.planner.plan(records, deleted=deleted)
			counts = self._carry_out(plan, again, until)
			whole = True
			return counts, [plan.records[external_id] for external_id in plan.left]
		except (Outdated, *self.runtime.db.errors) as error:
			if isinstance(error, Outdated) or self.runtime.db.is_duplicate(error):
				self.planner.first_load = False  # a row was there after all: the next attempt looks it up
			raise
		finally:
			if not whole:  # the page is undone, and so is what was noted of it
				self.first_error, self.error_log, self.unidentified, self.skipped, self.settled = before

	def _carry_out(self, plan: Plan, again: bool, until: float) -> Counts:
		"""Do what a plan of this transaction says; return what became of its records.

		until: of time.monotonic; what is not begun by then is left (plan.left), but for the first.
		"""
		counts = Counts()
		touched = (*plan.remove, *plan.forget, *plan.newer, *(item for item, _ in plan.changes))
		self._lock([plan.found[item.external_id] for item in touched], plan)
		changed: list[Binding] = []
		if not again:
			counts.unchanged = (
				len(plan.unchanged) + len(plan.lagging) + len(plan.newer) + plan.stale + len(plan.forget)
			)
			self.skipped += plan.skipped
			changed += self._keep_unidentified(plan, counts)
		counting = not (again or self.retrying)
		counts.fetched = plan.fetched if counting else 0
		for item in plan.forget:
			binding = plan.found[item.external_id]
			binding.status, binding.written = "Deleted", "changed"
			changed.append(self._settled(item, binding))
		changed += (self._settled(item, plan.found[item.external_id]) for item in plan.newer)
		changed += self._remove(plan, counts, until)
		changed += self._upsert(plan, counts, until)
		counts.fetched -= len(plan.left) if counting else 0
		counts.unchanged = 0 if again else counts.unchanged
		bindings.give_up(self.runtime.db, [plan.found[external_id] for external_id in plan.left])
		changed += self._keep_failures(plan, counts)
		met = [binding.name for binding in plan.unchanged if not binding.new]
		bindings.mark_seen(self.runtime.db, met, self.mark)
		bindings.mark_told(self.runtime.db, plan.lagging, self.mark.number)
		self._note_part(plan, changed)
		bindings.save(
			self.runtime, self.stream.name, self.stream.target_doctype, self.mark, changed, self._by
		)
		if not self.run and any(binding.had_failed and not binding.has_failed for binding in changed):
			close_records(
				self.runtime, self.stream.name
			)  # for an event; the end of a run does this for a run
			restate(self.runtime, self.stream.name)
		if self.runtime.db.broken and self.run:
			raise BrokenTransaction(
				f"A controller of {self.stream.target_doctype} committed or rolled back within the page; "
				"its documents and their bindings cannot be kept together."
			)
		return counts

	def _note_part(self, plan: Plan, changed: Sequence[Binding]) -> None:
		"""Note of which list records are, where their stream has many."""
		met = [binding.name for binding in (*plan.unchanged, *plan.lagging)]
		bindings.mark_part(self.runtime.db, met, self.part)
		for binding in changed:
			binding.part = self.part.of(binding)

	def _lock(self, touched: Sequence[Binding], plan: Plan) -> None:
		"""Lock bindings that are about to change, and make those of new documents; raises Outdated."""
		try:
			bindings.hold(self.runtime.db, [binding for binding in touched if not binding.new])
			if self.stream.write_mode == "Documents":  # they take their time, in which events go on
				new = [plan.found[item.external_id] for item, _ in plan.changes]
				bindings.take(self.runtime, self.stream.name, self.stream.target_doctype, self.mark, new)
		except self.runtime.db.errors as error:
			if not self.runtime.db.is_transient(error):
				raise
			# Nothing is written yet: to begin again costs nothing but the look at the page.
			raise Outdated(f"Another transaction was in the way at every attempt: {error}") from error

	def _has_failed(self, binding: Binding) -> bool:
		"""Tell whether this run has met a record already, and failed to write it."""
		return (
			bool(binding.read) and binding.read[0] in ("Failed", "Dead") and binding.read[2] == self.mark.by
		)

	def _keep_unidentified(self, plan: Plan, counts: Counts) -> list[Binding]:
		"""Keep records without an id by what they hold: what they stand for is not known, and must not get lost."""
		kept: dict[str, Binding] = {}
		for record, error in plan.unidentified:
			counts.failed += 1
			self.unidentified += not self.retrying
			failure = self._log(error, "")
			if self.run and (payload := self._payload(record)):
				name = bindings.unidentified_name(self.stream.name, payload)
				text = self.redactor.text(error, 500)
				kept[name] = Binding(name, "", error=text, error_log=failure, payload=payload)
		for known in bindings.by_name(self.runtime.db, list(kept)) if kept else ():
			known.error, known.error_log = kept[known.name].error, kept[known.name].error_log
			kept[known.name] = known
		for binding in kept.values():
			self.given_up += binding.fail(self.runtime, binding.error or "", binding.payload)
			binding.written = "" if binding.new else "changed"
		if kept:
			update(self.runtime.db, "Sync Settings", self.stream.name, {"has_failed": 1})
		return list(kept.values())

	def _remove(self, plan: Plan, counts: Counts, until: float) -> Iterator[Binding]:
		found = [plan.found[item.external_id] for item in plan.remove]
		if self._is_too_much(len(found)):
			for binding in found:
				binding.missing_run = self.run.name  # it waits for approval, as what a full run misses does
				counts.to_delete += 1
				yield binding
			return
		for part in self._in_time(plan, plan.remove, until):
			bound = [plan.found[item.external_id] for item in part]
			errors = remove_documents(self.runtime, self.stream, self.planner.target, bound)
			for item, binding in zip(part, bound, strict=True):
				error = errors.get(binding.name)
				if isinstance(error, LeftAsItIs):
					yield self._left(self._settled(item, binding), error, counts)
					continue
				if error:
					plan.failures[item.external_id] = error
					continue
				counts.deleted += 1
				binding.written = "changed"
				yield self._settled(item, binding)

	def _in_time(self, plan: Plan, items: Sequence[Mapped], until: float) -> Iterator[Sequence[Mapped]]:
		"""Give out items a few at a time, until it is late; note the others as left. The first ones always go."""
		for part in chunks(items, self.planner.target.at_once):
			if plan.begun and time.monotonic() >= until:
				plan.left += [item.external_id for item in part]
				continue
			plan.begun = True
			yield part

	def _is_too_much(self, count: int) -> bool:
		"""Tell whether a run would now remove more than it may by itself."""
		if not count or not self.run or self.stream.deletion_policy == "Keep":
			return False
		if self._live is None:
			self._live = bindings.count_live(self.runtime.db, self.stream.name) + self.run.counts.deleted
		so_far = self.run.counts.deleted + self.run.counts.to_delete
		return needs_approval(self.stream, so_far + count, self._live)

	def _upsert(self, plan: Plan, counts: Counts, until: float) -> Iterator[Binding]:
		changes = {item.external_id: change for item, change in plan.changes}
		for part in self._in_time(plan, [item for item, _ in plan.changes], until):
			outcomes = self.planner.target.write([changes[item.external_id] for item in part])
			for item, outcome in zip(part, outcomes, strict=True):
				name = changes[item.external_id].name
				if isinstance(outcome.error, LeftAsItIs):
					yield self._left(self._bound(plan, item, name), outcome.error, counts)
					continue
				if outcome.error:
					plan.failures[item.external_id] = outcome.error
					continue
				self.overruled |= {*outcome.overruled}
				if outcome.same:
					counts.unchanged += 1
				elif name:
					counts.updated += 1
				else:
					counts.created += 1
				yield self._bound(plan, item, outcome.name)

	def _left(self, binding: Binding, error: LeftAsItIs, counts: Counts) -> Binding:
		"""Settle a record whose document stays as it is: until it changes again, it is no longer tried."""
		if is_quiet(self.stream, error):
			counts.unchanged += 1
		else:
			counts.failed += 1
			self.settled += 1
			self._log(error, binding.external_id, about=CANCELLED)
		binding.error = self.redactor.text(error, 500)
		return binding

	def _bound(self, plan: Plan, item: Mapped, name: str | None) -> Binding:
		binding = plan.found[item.external_id]
		binding.adopted = binding.adopted or int(item.external_id in plan.adopted)
		binding.written = "changed" if binding.target_name else "first"
		binding.status, binding.target_name = "Bound", name
		binding.content_hash = item.content_hash
		return self._settled(item, binding)

	def _keep_failures(self, plan: Plan, counts: Counts) -> Iterator[Binding]:
		"""Keep what could not be written: the next run tries it again, and it counts as seen."""
		if plan.failures and self.run:
			update(self.runtime.db, "Sync Settings", self.stream.name, {"has_failed": 1})
		if plan.failures:
			self._explain(plan)
		for external_id, error in plan.failures.items():
			binding, record = plan.found[external_id], plan.records[external_id]
			if not (met := self._has_failed(binding)):
				counts.failed += 1
				binding.error_log = self._log(error, external_id) or binding.error_log
			text, payload = self.redactor.text(error, 500), self._payload(record)
			self.given_up += binding.fail(self.runtime, text, payload, counts=not met)
			binding.written = "changed"
			# What is older comes too late, though this could not be written yet; and retries go by it.
			binding.source_time = max(binding.source_time, plan.times.get(external_id, ""))
			yield binding

	def _explain(self, plan: Plan) -> None:
		"""Have the failures of documents' own code say what their records lack."""
		fields = self.planner.target.fields()
		for item, change in plan.changes:
			if error := plan.failures.get(item.external_id):
				doctype = self.stream.target_doctype
				plan.failures[item.external_id] = explained(error, doctype, change.values, fields)

	def _payload(self, record: Record) -> str | None:
		"""Return what is kept of a record that could not be written: nothing of one in which a secret stands."""
		payload = payload_of(record)
		known = self.planner.mapper.known
		return None if payload and known and known.stands_in_repr(payload) else payload

	def _settled(self, item: Mapped, binding: Binding) -> Binding:
		binding.settle()
		binding.list_hash = self.planner.list_hashes.get(binding.external_id, "")
		known = "" if self.planner.current else binding.source_time or ""
		binding.source_time = max(item.source_time, known) or binding.source_time
		return binding

	def complete(self, records: Sequence[Record]) -> Completed:
		"""Return records with their details; not within a transaction. Raises ConnectorError."""
		done = self.details.complete(records) if self.details else Completed(list(records))
		self.planner.list_hashes = done.hashes
		return done

	def note_known(self, external_ids: Sequence[str], again: bool = False) -> Counts:
		"""Note, within the current transaction, that records came that are as they were; return what that adds."""
		names = [bindings.binding_name(self.stream.name, external_id) for external_id in external_ids]
		bindings.mark_seen(self.runtime.db, names, self.mark)
		bindings.mark_part(self.runtime.db, names, self.part)
		return Counts() if again else Counts(fetched=len(names), unchanged=len(names))

	def confirm(self, records: Sequence[Record]) -> None:
		"""Note, within the current transaction, that records were met on a second pass."""
		names = [bindings.binding_name(self.stream.name, external_id) for external_id in self._ids(records)]
		bindings.mark_seen(self.runtime.db, names, self.mark)
		bindings.mark_part(self.runtime.db, names, self.part)

	def _ids(self, records: Sequence[Record]) -> set[str]:
		ids = set()
		for record in records:
			if not self.planner.is_ours(record):
				continue
			try:
				ids.add(self.mapper.external_id(record))
			except MappingError:
				self.unidentified += 1
		return ids

	def _log(self, error: Exception, external_id: str, about: str = RECORD) -> str | None:
		"""Log why a record could not be written; return the name of the failure's row."""
		name = record_error(
			self.runtime,
			error,
			operation=self.operation,
			integration=self.stream.integration,
			redactor=self.redactor,
			external_id=external_id[:500],
			about=about,
			**self.where,
		)
		self.error_log = self.error_log or name
		place = f"{external_id}: " if external_id else ""
		self.first_error = self.first_error or self.redactor.text(f"{place}{error_text(error)}", 300)
		return name
