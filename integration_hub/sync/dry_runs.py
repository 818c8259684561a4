"""Dry runs: what a run would do, in counts and the changes of a sample, without doing it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from integration_hub.connectors.app_code import contained
from integration_hub.connectors.completeness import Proof
from integration_hub.connectors.errors import ConnectorError, RetryLater
from integration_hub.connectors.known_secrets import KnownSecrets
from integration_hub.connectors.pages import Page
from integration_hub.connectors.redact import MASK, Redactor
from integration_hub.connectors.secrets import redactor_for
from integration_hub.lazy_messages import _
from integration_hub.stores.bindings import LIVE, Binding, after, count_live, load
from integration_hub.stores.ids import new_id
from integration_hub.stores.runs import Counts, last_number
from integration_hub.stores.runtime import Change, Foreseen, Runtime
from integration_hub.stores.seen_marks import Mark
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.deletion import foresee_removals, needs_approval
from integration_hub.sync.details import Details
from integration_hub.sync.link_conversions import lookups, resolve
from integration_hub.sync.mapping import Mapped, Mapper, MappingError
from integration_hub.sync.modes import Full, Period, mode_of
from integration_hub.sync.page_plan import Plan, Planner
from integration_hub.sync.run import ready
from integration_hub.sync.source import source_pages

SAMPLE = 20
_FORETOLD = 200  # documents that are gone, of which what keeps them is looked up: many queries each
_LOOKED_FOR = 10  # pages, for one that has records


@dataclass
class Difference:
	"""The effect a run would have on one record. changes: {field: [value now, value then]}."""

	external_id: str
	action: str
	name: str = ""
	changes: dict[str, list[Any]] = field(default_factory=dict)
	error: str = ""
	doubt: str = ""  # what may make it fail, which only a run can know


@dataclass
class DryRun:
	"""The effect of a run that writes nothing. `approval` says that its deletions would wait for a person.

	same: of how many records that would be written the document is so already.
	"""

	stream: str
	counts: Counts = field(default_factory=Counts)
	orphans: int = 0
	same: int = 0
	approval: bool = False
	sample: list[Difference] = field(default_factory=list)
	notes: list[str] = field(default_factory=list)
	paused: bool = False

	def as_dict(self) -> dict[str, Any]:
		"""Return the dry run as plain values, for JSON."""
		return asdict(self)


@contained
def dry_run(
	runtime: Runtime, name: str, period: Period | None = None, sample: int = SAMPLE, max_pages: int = 0
) -> DryRun:
	"""Fetch what a run would fetch, and compare; nothing is written: no document, no log, no checkpoint.

	sample: of how many records the changes are kept. max_pages: stop after so many (0: none), for a person
	who waits; then nothing is said of what would be gone.

	Raises HubError when the stream could not begin, and ConnectorError when the source fails.
	"""
	stream, integration = ready(runtime, name, include_disabled=True)
	result = DryRun(name)
	_look(runtime, stream, integration, mode_of(stream, period), result, sample, max_pages)
	if result.same and stream.write_mode == "Bulk":
		result.notes.append(_("{0} more are written again as they are.", result.same))
	return result


def _look(
	runtime: Runtime,
	stream: StreamConfig,
	integration: Any,
	mode: Full,
	result: DryRun,
	sample: int,
	max_pages: int,
) -> None:
	"""Add to a result what there is at the source, page by page."""
	redactor = redactor_for(runtime.secrets(stream.integration))
	with runtime.as_user(integration.run_as_user), _names() as met:
		mark = Mark(new_id(), last_number(runtime.db, stream.name) + 1)
		planner = Planner(runtime, stream, mark=mark, redactor=redactor)
		unread = False
		with closing(runtime.connector(stream.integration)) as connector:
			proof = Proof()
			redactor = connector.redactor  # which knows its tokens, too
			planner.know(redactor)
			details = Details(runtime, stream, connector, planner.mapper)
			for page in _while_room(_pages(runtime, connector, mode, result), result, connector.hurried):
				proof.see(page)
				done = details.complete(mode.wanted(page, planner.mapper).records)
				planner.list_hashes = done.hashes
				plan = planner.plan(done.records)
				result.counts.add(Counts(fetched=len(done.known), unchanged=len(done.known)))
				unread = unread or bool(plan.unidentified)
				result.counts.pages += 1
				result.counts.bytes += page.size
				_add(planner, plan, result, sample, redactor, integration.run_as_user)
				again = _note_names(met, plan)
				_note_known(runtime, stream, met, done.known)
				result.counts.created -= again  # a feed may say more than once what is new
				result.counts.updated += again
				if result.counts.pages == max_pages and not page.last:
					result.notes.append(_("Only the first {0} pages were looked at.", max_pages))
					return
			if result.paused:
				return
		orphans = 0
		if proof.doubt:
			result.notes.append(str(proof.doubt))
		elif mode.finds_orphans and stream.deletion_policy != "Keep" and result.counts.fetched and not unread:
			orphans = _look_at_orphans(planner, met, result, sample, redactor, integration.run_as_user)
		gone = orphans + result.counts.deleted
		result.approval = needs_approval(stream, gone, count_live(runtime.db, stream.name))
		if result.approval:
			result.notes.append(_("That is more than Largest Deletion allows: a person has to approve it."))
		result.notes += [_("Nothing was found at {0}.", path) for path in planner.mapper.never_found()]


@contained
def preview(runtime: Runtime, name: str, limit: int = 20) -> list[dict[str, Any]]:
	"""Fetch one page and return what its first records would become.

	[{"external_id", "deleted", "values", "error"}]. Raises HubError and ConnectorError.
	"""
	stream, integration = ready(runtime, name, include_disabled=True)
	mapper = Mapper(stream, runtime.local_time, runtime.transforms())
	with (
		runtime.as_user(integration.run_as_user),
		closing(runtime.connector(stream.integration)) as connector,
	):
		first = _first_page(runtime, connector, stream)
		mapper.known = KnownSecrets(connector.redactor)
		details = Details(runtime, stream, connector, mapper).complete(first.records[:limit], every=True)
		records = [*details.records, *details.same]
		shown = [_mapped(mapper, record, connector.redactor) for record in records]
		_resolve_links(runtime, stream, shown, connector.redactor)
		return shown


def _first_page(runtime: Runtime, connector: Any, stream: StreamConfig) -> Page:
	"""Return the first page that has records: of a stream of many lists the first may be empty."""
	page = Page([], "", True, 0)
	for page in islice(source_pages(runtime, connector, stream, stream.list_request()), _LOOKED_FOR):
		if page.records:
			break
	return page


def _resolve_links(
	runtime: Runtime, stream: StreamConfig, shown: Sequence[dict[str, Any]], redactor: Redactor
) -> None:
	"""Put documents' names where links are, as writing would; what is not found is its record's error."""
	found = lookups(stream, runtime.target(stream.target_doctype, stream.write_mode).fields())
	items = [
		Mapped(str(place), row["values"], "", False)
		for place, row in enumerate(shown)
		if not (row["deleted"] or row["error"])
	]
	for place, error in resolve(runtime, stream.write_mode, found, items).items():
		shown[int(place)]["error"] = redactor.text(error, 500)


def _mapped(mapper: Mapper, record: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
	shown: dict[str, Any] = {"external_id": "", "deleted": False, "values": {}, "error": ""}
	try:
		shown["external_id"] = mapper.external_id(record)
		mapped = mapper.map(record, external_id=shown["external_id"])
		values = {field: _shown(value, mapper.known) for field, value in mapped.values.items()}
		return {**shown, "deleted": mapped.deleted, "values": values}
	except MappingError as error:
		return {**shown, "error": redactor.text(error, 500)}


def _shown(value: Any, known: KnownSecrets | None) -> Any:
	"""Return a value as a person may see it: without a secret, in whatever way it is written."""
	text = value if isinstance(value, str) else repr(value)
	return MASK if known and known.stands_in(text) else value


def _pages(runtime: Runtime, connector: Any, mode: Full, result: DryRun) -> Iterator[Page]:
	try:
		yield from source_pages(runtime, connector, mode.stream, mode.request())
	except ConnectorError as error:
		if not mode.starts_over(error):
			raise
		result.notes.append(_("The cursor has expired: everything would be fetched again."))
		yield from source_pages(runtime, connector, mode.stream, mode.request())


def _while_room(pages: Iterator[Page], result: DryRun, hurried: bool) -> Iterator[Page]:
	"""Give pages; where a person waits, those that come before the first pause, if there are any."""
	try:
		yield from pages
	except RetryLater as error:
		if not (hurried and result.counts.pages):
			raise
		result.paused = True
		seconds = f"{error.seconds:.0f}"
		result.notes.append(
			_(
				"Only the first {0} pages were looked at: requests are paused for {1} s.",
				result.counts.pages,
				seconds,
			)
		)


def _add(planner: Planner, plan: Plan, result: DryRun, sample: int, redactor: Redactor, user: str) -> None:
	"""Add a page's plan to the result. user: as whom a run would write."""
	changes = [change for _, change in plan.changes]
	foreseen = planner.target.foresee(changes, planner.target, user) if changes else []
	if changes and (unforeseen := planner.target.unforeseen()) and unforeseen not in result.notes:
		result.notes.append(unforeseen)
	outlook = list(zip(changes, foreseen, strict=True))
	good = [(change, one) for change, one in outlook if not one.error]
	removals = foresee_removals(
		planner.target, planner.stream, [plan.found[item.external_id] for item in plan.remove], user
	)
	failures = {
		**plan.failures,
		**{change.external_id: one.error for change, one in outlook if one.error},
		**{external_id: one.error for external_id, one in removals.items() if one.error and not one.doubt},
	}
	gone = [item.external_id for item in plan.remove if item.external_id not in failures]
	moved = [(change, one) for change, one in good if one.changes or not change.name]
	result.same += len(good) - len(moved)
	result.counts.add(
		Counts(
			fetched=plan.fetched,
			created=sum(not change.name for change, _ in moved),
			updated=sum(bool(change.name) for change, _ in moved),
			unchanged=len(plan.unchanged)
			+ len(plan.lagging)
			+ len(plan.newer)
			+ plan.stale
			+ len(plan.forget)
			+ len(good)
			- len(moved),
			deleted=len(gone),
			failed=len(failures) + len(plan.unidentified),
		)
	)
	names = {item.external_id: plan.found[item.external_id].target_name or "" for item in plan.remove}
	found = [
		*_failed(failures, names, redactor),
		*_removed(planner.stream, {one: names[one] for one in gone}, removals, redactor),
		*_changed(planner, moved),
	]
	result.sample += list(islice(found, max(sample - len(result.sample), 0)))


def _failed(
	failures: Mapping[str, Exception], names: Mapping[str, str], redactor: Redactor
) -> Iterator[Difference]:
	for external_id, error in failures.items():
		yield Difference(external_id, "fail", names.get(external_id, ""), error=redactor.text(error, 300))


def _removed(
	stream: StreamConfig, names: Mapping[str, str], removals: Mapping[str, Foreseen], redactor: Redactor
) -> Iterator[Difference]:
	"""Return what becomes of records that are gone, with what may keep their documents."""
	for external_id, name in names.items():
		one = removals.get(external_id)
		doubt = f"{redactor.text(one.error, 300)}. {one.doubt}" if one else ""
		yield Difference(external_id, stream.deletion_policy.lower(), name, doubt=doubt)


def _changed(planner: Planner, moved: Sequence[tuple[Change, Foreseen]]) -> Iterator[Difference]:
	for change, one in moved:
		changes = {
			field: [now, _shown(then, planner.mapper.known)] for field, (now, then) in one.changes.items()
		}
		action = "update" if change.name else "create"
		yield Difference(change.external_id, action, change.name or "", changes, doubt=one.doubt)


@contextmanager
def _names() -> Iterator[sqlite3.Connection]:
	"""Give a temporary table for the bindings that were met: a list may be longer than memory."""
	with closing(sqlite3.connect("")) as met:
		met.execute("CREATE TABLE `met` (`name` TEXT PRIMARY KEY, `made` INTEGER) WITHOUT ROWID")
		yield met


def _note_known(
	runtime: Runtime, stream: StreamConfig, met: sqlite3.Connection, external_ids: Sequence[str]
) -> None:
	"""Note the bindings of records that are as they were."""
	found = load(runtime.db, stream.name, external_ids).values() if external_ids else ()
	live = [(one.name,) for one in found if not one.new and one.status != "Deleted"]
	met.executemany("INSERT OR IGNORE INTO `met` VALUES (?, 0)", live)


def _note_names(met: sqlite3.Connection, plan: Plan) -> int:
	"""Note what a page has met; return how many of its new records are so only because nothing was written."""
	new = [(plan.found[item.external_id].name,) for item, change in plan.changes if not change.name]
	before = met.total_changes
	met.executemany("INSERT OR IGNORE INTO `met` VALUES (?, 1)", new)
	again = len(new) - (met.total_changes - before)
	live = [(b.name,) for b in plan.found.values() if not b.new and b.status != "Deleted"]
	met.executemany("INSERT OR IGNORE INTO `met` VALUES (?, 0)", live)
	return again


def _look_at_orphans(
	planner: Planner, met: sqlite3.Connection, result: DryRun, sample: int, redactor: Redactor, user: str
) -> int:
	"""Add to a result the documents that are no longer at the source, and what keeps some; return how many there are."""
	live = count_live(planner.runtime.db, planner.stream.name)
	orphans = live - met.execute("SELECT COUNT(*) FROM `met` WHERE `made` = 0").fetchone()[0]
	found = list(islice(_orphans(planner, met), _FORETOLD)) if orphans else []
	removals = foresee_removals(planner.target, planner.stream, found, user)
	stay = {external_id: one.error for external_id, one in removals.items() if one.error and not one.doubt}
	result.orphans = orphans - len(stay)
	result.counts.add(Counts(failed=len(stay)))
	names = {binding.external_id: binding.target_name or "" for binding in found}
	gone = {external_id: name for external_id, name in names.items() if external_id not in stay}
	shown = [*_failed(stay, names, redactor), *_removed(planner.stream, gone, removals, redactor)]
	result.sample += shown[: max(sample - len(result.sample), 0)]
	if orphans > len(found):
		result.notes.append(
			_("Whether something keeps a document was looked up of the first {0} only.", _FORETOLD)
		)
	return orphans


def _orphans(planner: Planner, met: sqlite3.Connection) -> Iterator[Binding]:
	"""Return the bindings that a dry run has not met, by name."""
	last = ""
	while batch := after(planner.runtime.db, planner.stream.name, LIVE, [], last, 1000):
		for binding in batch:
			if not met.execute(
				"SELECT 1 FROM `met` WHERE `name` = ? AND `made` = 0", [binding.name]
			).fetchone():
				yield binding
		last = batch[-1].name
