"""Plans of pages: records are mapped, looked up and compared with the documents here. It only reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integration_hub.connectors.app_code import attempt
from integration_hub.connectors.known_secrets import KnownSecrets
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.secrets import redactor_for
from integration_hub.stores import bindings, seen_marks
from integration_hub.stores.bindings import Binding
from integration_hub.stores.runtime import CANCEL, Change, Runtime, Target
from integration_hub.stores.seen_marks import Mark
from integration_hub.stores.settings import existing_names
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.failed_payloads import payload_of
from integration_hub.sync.field_values import fit
from integration_hub.sync.link_conversions import Skipped, lookups, matched, resolve
from integration_hub.sync.made_from import Origins
from integration_hub.sync.mapping import DETAIL_FAILED, GONE, Mapped, Mapper, MappingError
from integration_hub.sync.matching import documents_with
from integration_hub.sync.write_rules import CREATE_ONLY, WriteRules

Record = Mapping[str, Any]

# Seconds by which a list may be behind an event (a cache, a replica); after them the list is believed, for a
# source that was set back says so in no other way.
_LISTS_LAG = 3600


@dataclass(frozen=True)
class Moment:
	"""The time at which an event's change happened, as UTC text: "" where nobody says so.

	received: by our clock, which is what an undated deletion counts as. changed, deleted: what the sender says of
	an update, and of a deletion, whose records say nothing.
	"""

	received: str
	changed: str = ""
	deleted: str = ""


@dataclass(slots=True)
class Plan:
	"""A page, sorted by what has to be done. Of the same id twice, the later record counts: by its source time, else by its place.

	skipped: how many the stream's rules leave alone.
	dropped: how many did not pass the stream's record filter; fetched: how many others there are.
	records: what can be told by its id. unidentified: why the others cannot.
	changes: what is to be written, with the record it comes from; adopted: documents found by match field.
	remove: what the source says is deleted. forget: deletions of what never was here, or is gone, and not at so late a time.
	unchanged: bindings that were met and need no write. stale: how many of the page came too late.
	begun, left: was a document written or removed; the external ids that there was no time for (see PageWriter).
	newer: what is as it was, at another time, which is kept: what is older comes too late from now on.
	lagging: bindings that the list is behind (see Planner).
	times: when the records changed.
	"""

	fetched: int = 0
	dropped: int = 0
	skipped: int = 0
	records: dict[str, Record] = field(default_factory=dict)
	unidentified: list[tuple[Record, MappingError]] = field(default_factory=list)
	failures: dict[str, Exception] = field(default_factory=dict)
	found: dict[str, Binding] = field(default_factory=dict)
	changes: list[tuple[Mapped, Change]] = field(default_factory=list)
	adopted: dict[str, str] = field(default_factory=dict)
	remove: list[Mapped] = field(default_factory=list)
	forget: list[Mapped] = field(default_factory=list)
	unchanged: list[Binding] = field(default_factory=list)
	newer: list[Mapped] = field(default_factory=list)
	lagging: list[Binding] = field(default_factory=list)
	times: dict[str, str] = field(default_factory=dict)
	stale: int = 0
	begun: bool = False
	left: list[str] = field(default_factory=list)


class Planner:
	"""Plans pages of one stream.

	mark, current: on whose behalf, and whether records are the source's present state (see PageWriter).
	moment: when what they tell happened, if it is an event that tells it.
	redactor: knows the secrets of the integration; read from its settings unless given.
	"""

	def __init__(
		self,
		runtime: Runtime,
		stream: StreamConfig,
		*,
		mark: Mark,
		current: bool = True,
		moment: Moment | None = None,
		redactor: Redactor | None = None,
	) -> None:
		self.runtime, self.stream, self.mark, self.current = runtime, stream, mark, current
		self._moment = moment
		self.mapper = Mapper(stream, runtime.local_time, runtime.transforms())
		self.know(redactor or redactor_for(runtime.secrets(stream.integration)))
		self.target: Target = runtime.target(stream.target_doctype, stream.write_mode, stream.as_is)
		self._fields = self.target.fields()
		self._lookups = lookups(stream, self._fields)
		self._rules = WriteRules(stream, self._fields)
		self._origins = Origins(runtime, stream) if stream.mapper else None
		# A first load in bulk need not ask, page by page, what there is: nothing. Should a record come twice after
		# all, the primary key says so (see PageWriter.write).
		self.first_load = stream.write_mode == "Bulk" and not bindings.has_any(runtime.db, stream.name)
		self.list_hashes: dict[str, str] = {}  # of records whose details were fetched, by external id
		self.retried = False  # has this run tried again what was due of earlier failures?

	def know(self, redactor: Redactor) -> None:
		"""Have the secrets that a redactor knows become no ids and no values."""
		self.mapper.known = KnownSecrets(redactor)

	def plan(self, records: Sequence[Record], *, deleted: bool | None = None) -> Plan:
		"""Plan a page, within the current transaction.

		deleted: True or False if the caller knows; else the stream's deleted_path decides.
		"""
		plan = Plan()
		mapped = self._map(plan, records, deleted)
		plan.fetched = len(records) - plan.dropped
		if self._lookups:
			self._resolve(plan, mapped)
		if self.first_load:
			plan.found = bindings.unbound(self.stream.name, plan.records)
		else:
			plan.found = bindings.load(self.runtime.db, self.stream.name, plan.records)
			self._forget_times_to_come(plan.found.values())
		self._forget_lost_documents(plan.found.values())
		self._leave_out_late_failures(plan)
		if self.retried:
			self._leave_out_failed(plan, mapped)
		items = []
		for item in mapped.values():
			if item.deleted:
				self._plan_removal(plan, item)
			elif item.skipped:
				self._skip(plan, item)
			elif self._differs(plan, item):
				items.append(item)
		plan.adopted = self._adopt(plan, items)
		for item in items:
			binding = plan.found[item.external_id]
			name = binding.target_name or plan.adopted.get(item.external_id)
			if self._rules.skips(name) or (item.state == CANCEL and not name):
				self._skip(plan, item)
				continue
			if self._is_left_alone(binding):
				self._keep(plan, item)
				continue
			values, kept = self._rules.values(name, item.values), ()
			if binding.status == "Deleted" and self.stream.deletion_policy == "Disable":
				values, kept = self._enabled(values), (self.stream.disable_field,)
			change = Change(
				item.external_id,
				name,
				values,
				kept,
				state=item.state,
				on_submitted=self.stream.submitted_documents,
			)
			plan.changes.append((item, change))
		self._rules.leave_filled([change for _, change in plan.changes], self.target)
		self._find_origins(plan)
		self._fit(plan)
		return plan

	def _find_origins(self, plan: Plan) -> None:
		"""Say of new documents that are made from others which those are; a record whose is not there fails."""
		if self._origins and plan.changes:
			waiting = self._origins.put([change for _, change in plan.changes], plan.records)
			plan.failures |= waiting
			plan.changes = [item for item in plan.changes if item[0].external_id not in waiting]

	def _is_left_alone(self, binding: Binding) -> bool:
		"""Tell whether a stream that only creates has made a record's document already."""
		return self.stream.writes == CREATE_ONLY and bool(binding.target_name) and binding.status != "Deleted"

	def _skip(self, plan: Plan, item: Mapped) -> None:
		plan.skipped += 1
		self._keep(plan, item)

	def _keep(self, plan: Plan, item: Mapped) -> None:
		"""Leave a record as it is: it counts as met, and an earlier failure of it waits no more."""
		binding = plan.found[item.external_id]
		if binding.has_failed:
			binding.status, binding.content_hash = "Bound" if binding.target_name else "Deleted", ""
			plan.newer.append(item)
		elif binding.new or self._is_stale(item, binding) or item.source_time in ("", binding.source_time):
			plan.unchanged.append(binding)
		else:
			plan.newer.append(item)

	def _fit(self, plan: Plan) -> None:
		"""Give values the types of their fields; a record with one that does not fit fails."""
		wrong = fit([change.values for _, change in plan.changes], self._fields)
		for place in sorted(wrong, reverse=True):
			item, _ = plan.changes.pop(place)
			plan.failures[item.external_id] = wrong[place]

	def _map(self, plan: Plan, records: Iterable[Record], deleted: bool | None) -> dict[str, Mapped]:
		mapped: dict[str, Mapped] = {}
		for record in records:
			passes = bool(deleted) or not self.stream.record_filter or self.is_ours(record)
			plan.dropped += not passes
			try:
				external_id = self.mapper.external_id(record)
			except MappingError as error:
				if passes:
					plan.unidentified.append((record, error))
				continue
			if not passes:
				self._drop(plan, mapped, external_id, record)
				continue
			item, error = self._read(record, external_id, deleted)
			if external_id in plan.records:
				if self._is_older(item, plan.times[external_id]):
					continue
				mapped.pop(external_id, None)
				plan.failures.pop(external_id, None)
			plan.records[external_id], plan.times[external_id] = record, item.source_time
			if error:
				plan.failures[external_id] = error
			else:
				mapped[external_id] = item
		return mapped

	def is_ours(self, record: Record) -> bool:
		"""Tell whether a record is one of the stream's, by its filter; so is one that the filter does not fit, to fail."""
		try:
			return self.mapper.passes(record)
		except MappingError:
			return True

	def _drop(self, plan: Plan, mapped: dict[str, Mapped], external_id: str, record: Record) -> None:
		"""Leave out a record that does not pass the filter, and an earlier state of it on the same page."""
		if external_id not in plan.records:
			return
		if self._is_older(Mapped(external_id, {}, self._time_of(record), False), plan.times[external_id]):
			return
		plan.records.pop(external_id)
		mapped.pop(external_id, None)
		plan.failures.pop(external_id, None)

	def _read(
		self, record: Record, external_id: str, deleted: bool | None
	) -> tuple[Mapped, Exception | None]:
		"""Map a record; of one that cannot be mapped, return its time, and why."""
		deleted = deleted or (True if GONE in record else deleted)
		with attempt(
			self.runtime.db.is_transient
		) as tried:  # a registered function may have asked the database
			if DETAIL_FAILED in record:
				raise MappingError(str(record[DETAIL_FAILED]))
			if self.stream.record_filter and not deleted:
				self.mapper.passes(record)  # raises where the filter does not fit the record
			return self._mapped(record, external_id, deleted), None
		return Mapped(external_id, {}, self._time_of(record), False), tried.error

	def _mapped(self, record: Record, external_id: str, deleted: bool | None) -> Mapped:
		"""Map a record, if it is not to be skipped. Raises MappingError."""
		gone = self.mapper.is_deleted(record) if deleted is None else deleted
		if self.stream.skip_when and not gone and self.mapper.is_skipped(record):
			return self._dated(Mapped(external_id, {}, self._time_of(record), False, skipped=True))
		return self._dated(self.mapper.map(record, deleted=gone, external_id=external_id))

	def _is_older(self, item: Mapped, met: str) -> bool:
		"""Tell whether a page has met a record in a later state already. A feed tells things in their order."""
		return "" < item.source_time < met and self.stream.mode != "Cursor"

	@property
	def moment(self) -> Moment:
		"""Return when the planned changes happened; a list's undated deletions, before it was asked for."""
		return self._moment or Moment(seen_marks.begun(self.mark.by))

	def _dated(self, item: Mapped) -> Mapped:
		"""Have an event's sender say when a record changed, where the record does not, or was deleted since."""
		if self._moment:
			told = self._moment.deleted if item.deleted else self._moment.changed
			if item.deleted or not item.source_time:
				item.source_time = max(item.source_time, told)
		return item

	def _time_of(self, record: Record) -> str:
		"""Return the source time of a record that cannot be mapped, "" if that is why."""
		time = ""
		with attempt():  # the record is a failure already, and this may be why
			time = self.mapper.source_time(record)
		return "" if time > self.mapper.latest else time

	def _leave_out_late_failures(self, plan: Plan) -> None:
		"""Drop failures of records that came too late: they would not be written anyway."""
		for external_id in list(plan.failures):
			item = Mapped(external_id, {}, plan.times.get(external_id, ""), False)
			if self._is_stale(item, plan.found[external_id]):
				del plan.failures[external_id]
				plan.stale += 1

	def _leave_out_failed(self, plan: Plan, mapped: dict[str, Mapped]) -> None:
		"""Leave what failed before, and has not changed since, to its own retries: an overlap lists it each time."""
		for external_id, binding in plan.found.items():
			if not (binding.has_failed and binding.content_hash):
				continue
			payload = payload_of(plan.records[external_id])
			if payload and bindings.payload_hash(payload) == binding.content_hash:
				mapped.pop(external_id, None)
				plan.failures.pop(external_id, None)
				plan.unchanged.append(binding)

	def _resolve(self, plan: Plan, mapped: dict[str, Mapped]) -> None:
		"""Put documents' names where links are: a document made again under another name is a change, too."""
		alive = [item for item in mapped.values() if not (item.deleted or item.skipped)]
		missing = resolve(self.runtime, self.stream.write_mode, self._lookups, alive)
		for item in alive:
			item.content_hash = self.mapper.hash(item.values, item.state)
			error = missing.get(item.external_id)
			item.skipped = isinstance(error, Skipped)
			if error and not item.skipped:
				plan.failures[item.external_id] = error
				del mapped[item.external_id]

	def _forget_lost_documents(self, found: Iterable[Binding]) -> None:
		"""Forget documents that a person deleted, so that they are made again like ones that never were."""
		bound = [binding for binding in found if binding.target_name]
		names = existing_names(self.runtime.db, self.stream.target_doctype, [b.target_name for b in bound])
		for binding in bound:
			if binding.target_name not in names:
				binding.target_name, binding.content_hash, binding.adopted = None, "", 0

	def _forget_times_to_come(self, found: Iterable[Binding]) -> None:
		"""Have nothing come too late for a time that only a clock which was ahead can have let in, or given."""
		for binding in found:
			if binding.source_time > self.mapper.latest:
				binding.source_time = ""

	def _plan_removal(self, plan: Plan, item: Mapped) -> None:
		binding = plan.found[item.external_id]
		if (
			binding.missing_run
			or self._is_late_removal(item, binding)
			or (binding.new and self.current)
			or (binding.status == "Deleted" and item.source_time <= binding.source_time)
		):
			plan.stale += 1
		elif binding.new or binding.status == "Deleted":
			# An event of an earlier time may still be on its way, and has to find that it is too late.
			plan.forget.append(item)
		else:
			plan.remove.append(item)

	def _is_late_removal(self, item: Mapped, binding: Binding) -> bool:
		"""Tell whether what is bound is newer than a deletion; date the deletion as received if nobody says when
		it was.

		Two clocks are compared then. So an event's is late only if what is newer came after it, too; and what a list
		says is gone, and does not say since when, is gone for as long as is known.
		"""
		if item.source_time:
			return self._is_stale(item, binding)
		received = self.moment.received
		if self.current:
			late = binding.status == "Deleted" or self._seen_since(binding)
		else:
			late = seen_marks.received(binding.last_seen) > received
		item.source_time = max(received, binding.source_time)
		return late and (binding.source_time > received or (self.current and binding.status == "Deleted"))

	def _differs(self, plan: Plan, item: Mapped) -> bool:
		"""Tell whether a record has to be written; notes it as met if not."""
		binding = plan.found[item.external_id]
		same = binding.status == "Bound" and binding.content_hash == item.content_hash
		stale = self._is_stale(item, binding)
		if not same and not stale:
			return True
		if self._is_lagging(item, binding):
			plan.lagging.append(binding)
		elif same and not stale and self._says_more(item, binding):
			plan.newer.append(item)
		elif stale and binding.status == "Deleted" and not self.current:
			plan.stale += 1  # the deletion still counts as the last to have seen it
		else:
			plan.unchanged.append(binding)
		return False

	def _says_more(self, item: Mapped, binding: Binding) -> bool:
		"""Tell whether a record that is as it was has another time, or another entry in the list."""
		entry = self.list_hashes.get(item.external_id, "")
		return item.source_time not in ("", binding.source_time) or entry not in ("", binding.list_hash)

	def _is_stale(self, item: Mapped, binding: Binding) -> bool:
		"""Tell whether what is bound is newer than this record. A deletion wins over the same time."""
		known, gone = binding.source_time, binding.status == "Deleted"
		if not item.source_time:
			return gone and self._came_before(binding)
		# A list has old tombstones in it, of what was made again since; a change feed tells things in their order.
		in_order = self.current and self.stream.mode == "Cursor"
		if item.deleted and item.source_time < known and not in_order:
			return True
		if self.current and self._is_of_before(binding):
			return self._is_lagging(item, binding)
		if self.current and not self._seen_since(binding):
			# This fetch has met it already. An undated deletion that it found is dated as the fetch is.
			return item.source_time < known and not in_order and not (gone and known >= self.moment.received)
		return item.source_time < known or (gone and item.source_time == known)

	def _is_of_before(self, binding: Binding) -> bool:
		"""Tell whether nobody has seen a record since this run began."""
		return binding.run_number < self.mark.number

	def _seen_since(self, binding: Binding) -> bool:
		"""Tell whether an event, or a run beside, has seen a record since this run began."""
		return not self._is_of_before(binding) and binding.last_seen != self.mark.by

	def _came_before(self, binding: Binding) -> bool:
		"""Tell whether an undated record is of before what deleted it, as far as our clock can tell."""
		if self.current:
			return self._seen_since(binding)
		return seen_marks.received(binding.last_seen) > self.moment.received

	def _is_lagging(self, item: Mapped, binding: Binding) -> bool:
		"""Tell whether a list may be behind an event that was handled before the list was asked for."""
		if not (self.current and "" < item.source_time < binding.source_time and binding.status != "Deleted"):
			return False
		if not (self._is_of_before(binding) and seen_marks.is_event(binding.last_seen)):
			return False
		return seen_marks.told_at(self.mark.by) - seen_marks.told_at(binding.last_seen) < _LISTS_LAG

	def _enabled(self, values: dict[str, Any]) -> dict[str, Any]:
		"""Take back an earlier Disable, for a record that is in the source again."""
		return {self.stream.disable_field: self.stream.value_of_returned, **values}

	def _adopt(self, plan: Plan, items: Sequence[Mapped]) -> dict[str, str]:
		"""Find documents that are there already, by the stream's match field; each is adopted once."""
		match = self.stream.match_fields
		if not match:
			return {}
		wanted = {
			tuple(str(item.values[field]) for field in match): item.external_id
			for item in items
			if all(item.values.get(field) for field in match) and not plan.found[item.external_id].target_name
		}
		found = self._matches(match, list(wanted)) if wanted else {}
		taken = bindings.bound_names(self.runtime.db, self.stream.name, list(found.values()))
		return {wanted[v]: name for v, name in found.items() if name not in taken}

	def _matches(self, match: Sequence[str], wanted: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
		"""Return the documents that have the values wanted in the match fields."""
		if len(match) > 1:
			return documents_with(self.runtime.db, self.stream.target_doctype, match, wanted)
		single = [values[0] for values in wanted]
		return {(value,): name for value, name in matched(self.target.find(match[0], single), single).items()}
