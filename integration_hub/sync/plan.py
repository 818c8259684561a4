"""What a page of records means for the documents here: mapped, looked up, compared. It only reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integration_hub.stores import bindings
from integration_hub.stores.bindings import Binding
from integration_hub.stores.home import Change, Home, Target
from integration_hub.stores.settings import existing_names
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.fit import fit
from integration_hub.sync.links import lookups, matched, resolve
from integration_hub.sync.mapping import Mapped, Mapper, MappingError

Record = Mapping[str, Any]


@dataclass(slots=True)
class Plan:
	"""A page, sorted by what has to be done. Of the same id twice, the later record counts.

	records: what can be told by its id. unidentified: why the others cannot.
	changes: what is to be written, with the record it comes from; adopted: documents found by match field.
	remove: what the source says is deleted. forget: deletions of what never was here, or is gone, and not at so late a time.
	unchanged: bindings that were met and need no write. stale: how many of the page came too late.
	begun, left: was a document written or removed; the external ids that there was no time for (see PageWriter).
	"""

	fetched: int = 0
	records: dict[str, Record] = field(default_factory=dict)
	unidentified: list[MappingError] = field(default_factory=list)
	failures: dict[str, Exception] = field(default_factory=dict)
	found: dict[str, Binding] = field(default_factory=dict)
	changes: list[tuple[Mapped, Change]] = field(default_factory=list)
	adopted: dict[str, str] = field(default_factory=dict)
	remove: list[Mapped] = field(default_factory=list)
	forget: list[Mapped] = field(default_factory=list)
	unchanged: list[Binding] = field(default_factory=list)
	stale: int = 0
	begun: bool = False
	left: list[str] = field(default_factory=list)


class Planner:
	"""Plans pages of one stream.

	seen, current: on whose behalf, and whether records are the source's present state (see PageWriter).
	"""

	def __init__(self, home: Home, stream: StreamConfig, *, seen: str, current: bool = True):
		self.home, self.stream, self.seen, self.current = home, stream, seen, current
		self.mapper = Mapper(stream, home.local_time, home.transforms())
		self.target: Target = home.target(stream.target_doctype, stream.write_mode)
		self._fields = self.target.fields()
		self._lookups = lookups(stream, self._fields)
		# A first load in bulk need not ask, page by page, what there is: nothing. Should a record come twice after
		# all, the primary key says so (see PageWriter.write).
		self.first_load = stream.write_mode == "Bulk" and not bindings.has_any(home.db, stream.name)

	def plan(self, records: Sequence[Record], *, deleted: bool | None = None) -> Plan:
		"""Plan a page, within the current transaction.

		deleted: True or False if the caller knows; else the stream's deleted_path decides.
		"""
		plan = Plan(fetched=len(records))
		mapped = self._map(plan, records, deleted)
		if self._lookups:
			self._resolve(plan, mapped)
		if self.first_load:
			plan.found = bindings.unbound(self.stream.name, plan.records)
		else:
			plan.found = bindings.load(self.home.db, self.stream.name, plan.records)
		self._forget_lost_documents(plan.found.values())
		items = []
		for item in mapped.values():
			if item.deleted:
				self._plan_removal(plan, item)
			elif self._differs(plan, item):
				items.append(item)
		plan.adopted = self._adopt(plan, items)
		for item in items:
			binding = plan.found[item.external_id]
			name = binding.target_name or plan.adopted.get(item.external_id)
			values = self._enabled(item.values) if binding.status == "Deleted" else item.values
			plan.changes.append((item, Change(item.external_id, name, values)))
		self._fit(plan)
		return plan

	def _fit(self, plan: Plan) -> None:
		"""Give values the types of their fields; a record with one that does not fit fails."""
		wrong = fit([change.values for _, change in plan.changes], self._fields)
		for place in sorted(wrong, reverse=True):
			item, _ = plan.changes.pop(place)
			plan.failures[item.external_id] = wrong[place]

	def _map(self, plan: Plan, records: Iterable[Record], deleted: bool | None) -> dict[str, Mapped]:
		mapped: dict[str, Mapped] = {}
		for record in records:
			try:
				external_id = self.mapper.external_id(record)
			except MappingError as error:
				plan.unidentified.append(error)
				continue
			if external_id in plan.records:
				mapped.pop(external_id, None)
				plan.failures.pop(external_id, None)
			plan.records[external_id] = record
			try:
				mapped[external_id] = self.mapper.map(record, deleted=deleted, external_id=external_id)
			except Exception as error:
				if self.home.db.is_transient(error):  # a registered function had asked the database
					raise
				plan.failures[external_id] = error
		return mapped

	def _resolve(self, plan: Plan, mapped: dict[str, Mapped]) -> None:
		"""Put documents' names where links are: a document made anew under another name is a change, too."""
		alive = [item for item in mapped.values() if not item.deleted]
		missing = resolve(self.home, self.stream.write_mode, self._lookups, alive)
		plan.failures |= missing
		for item in alive:
			item.content_hash = self.mapper.hash(item.values)
			if item.external_id in missing:
				del mapped[item.external_id]

	def _forget_lost_documents(self, found: Iterable[Binding]) -> None:
		"""A document that a person deleted is made again, like one that never was."""
		bound = [binding for binding in found if binding.target_name]
		names = existing_names(self.home.db, self.stream.target_doctype, [b.target_name for b in bound])
		for binding in bound:
			if binding.target_name not in names:
				binding.target_name, binding.content_hash, binding.adopted = None, "", 0

	def _plan_removal(self, plan: Plan, item: Mapped) -> None:
		binding = plan.found[item.external_id]
		if (
			binding.missing_run
			or self._is_stale(item, binding)
			or (binding.new and self.current)
			or (binding.status == "Deleted" and item.source_time <= (binding.source_time or ""))
		):
			plan.stale += 1
		elif binding.new or binding.status == "Deleted":
			# An event of an earlier time is still on its way, maybe, and shall find that it is too late.
			plan.forget.append(item)
		else:
			plan.remove.append(item)

	def _differs(self, plan: Plan, item: Mapped) -> bool:
		"""Tell whether a record has to be written; notes it as met if not."""
		binding = plan.found[item.external_id]
		same = binding.status == "Bound" and binding.content_hash == item.content_hash
		if not same and not self._is_stale(item, binding):
			return True
		plan.unchanged.append(binding)
		return False

	def _is_stale(self, item: Mapped, binding: Binding) -> bool:
		"""Tell whether what is bound is newer than this record. A deletion wins over the same time."""
		known = binding.source_time or ""
		if not item.source_time:
			return False
		# A list has old tombstones in it, of what was made again since; a change feed tells things in their order.
		in_order = self.current and self.stream.mode == "Cursor"
		if item.deleted and item.source_time < known and not in_order:
			return True
		if self.current and binding.last_seen <= self.seen:
			return False
		return item.source_time < known or (binding.status == "Deleted" and item.source_time == known)

	def _enabled(self, values: dict[str, Any]) -> dict[str, Any]:
		"""Take back an earlier Disable, for a record that is in the source again."""
		if self.stream.deletion_policy != "Disable":
			return values
		return {self.stream.disable_field: self.stream.value_of_returned, **values}

	def _adopt(self, plan: Plan, items: Sequence[Mapped]) -> dict[str, str]:
		"""Find documents that are there already, by the stream's match field; each is adopted once."""
		match = self.stream.match_field
		if not match:
			return {}
		wanted = {
			str(item.values[match]): item.external_id
			for item in items
			if item.values.get(match) and not plan.found[item.external_id].target_name
		}
		found = matched(self.target.find(match, list(wanted)), wanted) if wanted else {}
		taken = bindings.bound_names(self.home.db, self.stream.name, list(found.values()))
		return {wanted[v]: name for v, name in found.items() if name not in taken}
