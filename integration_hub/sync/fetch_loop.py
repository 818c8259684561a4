"""The fetch loop of a list: fetch, write, checkpoint, page by page; and what a fetch proves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.completeness import Proof
from integration_hub.connectors.errors import ConnectorError, RetryLater
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.stores.bindings import Part, count_live
from integration_hub.stores.database import in_transaction
from integration_hub.stores.error_log import record_error
from integration_hub.stores.runs import Counts, Run, advance, new_mark
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.details import Completed
from integration_hub.sync.modes import Full
from integration_hub.sync.page_plan import Record
from integration_hub.sync.page_writer import PageWriter
from integration_hub.sync.resume import keep_whole, leave_off
from integration_hub.sync.source import source_pages

DOCTYPE = "Sync Settings"
KEEP_SECONDS = 15.0  # between two notes of how far a run came, should it be killed
_MOST_AT_ONCE, _FEWEST_AT_ONCE = 5000, 50  # records a transaction


def fetch_all(
	runtime: Runtime, stream: StreamConfig, run: Run, mode: Full, writer: PageWriter, connector: BaseConnector
) -> None:
	"""Fetch and write to the end; from the beginning, and say so, where a cursor has expired."""
	try:
		_fetch(runtime, stream, run, mode, writer, connector)
	except ConnectorError as error:
		if not mode.starts_over(error):
			raise
		run.note = "The cursor had expired: everything was fetched again."
		if not mode.finds_orphans:
			run.note += " What the source deleted in between is not known."
		# What an earlier fetch has met may be gone since.
		run.mark = writer.planner.mark = in_transaction(runtime.db, lambda: new_mark(runtime.db, stream.name))
		_fetch(runtime, stream, run, mode, writer, connector)


def second_pass(runtime: Runtime, run: Run, mode: Full, writer: PageWriter, connector: BaseConnector) -> None:
	"""Fetch the list a second time, from its beginning, and write what the first pass did not meet as it is."""
	if not mode.again:
		mode.again, mode.resumed, mode.passed = True, "", (0, 0)
	proof = Proof()
	for page in _pages(runtime, connector, mode.request(), mode.stream):
		proof.see(page)
		mode.parts.see(page, again=True)
		done = writer.complete(page.records)
		_commit(runtime, run, writer, page, done, mode.after_page_again(page), again=True, whole=mode.whole)
		mode.note_page(page)
	mode.doubt = proof.doubt or mode.parts.doubt


def deletion_allowed(
	runtime: Runtime, stream: StreamConfig, run: Run, mode: Full, writer: PageWriter, connector: BaseConnector
) -> bool:
	"""Tell whether what was not seen may be believed to be gone.

	Not if the stream keeps it, the list is not known to be complete, the source came back empty, or a record could
	not be told by its id. And where pages are counted off (a link may count them too), what moved was not seen (see modes.Incremental):
	before anything goes, the list is fetched a second time.
	"""
	if stream.deletion_policy == "Keep" or mode.doubt or not mode.met or writer.unidentified:
		return False
	if not (mode.stable or mode.again) and count_live(runtime.db, stream.name, run.mark.number):
		proof = Proof()
		try:
			for page in _pages(runtime, connector, stream.list_request(), stream):
				proof.see(page)
				run.counts.add(
					in_transaction(runtime.db, lambda page=page: _confirm(runtime, run, writer, page))
				)
				run.counts.pages += 1
		except RetryLater:
			note = "The source postponed the second pass over its list: nothing was removed this time."
			run.note = f"{run.note} {note}".strip()
			return False
		mode.doubt = proof.doubt
	return not (mode.doubt or writer.unidentified)


def parts_allow_deletion(stream: StreamConfig, mode: Full, writer: PageWriter) -> bool:
	"""Tell whether what lists that were whole no longer hold may be believed to be gone, whatever the others are."""
	if stream.deletion_policy == "Keep" or writer.unidentified or not mode.parts.any_proven:
		return False
	# Of a fetch of everything, only where a list failed or is in doubt: else the whole of it decides.
	return (
		bool(mode.met and mode.parts.doubt)
		if mode.finds_orphans
		else not mode.doubt or bool(mode.parts.doubt)
	)


def _fetch(
	runtime: Runtime, stream: StreamConfig, run: Run, mode: Full, writer: PageWriter, connector: BaseConnector
) -> None:
	keep_whole(runtime, stream, run, mode)
	proof, kept = Proof(), time.monotonic()
	for page in _pages(runtime, connector, mode.request(), stream):
		proof.see(page)
		mode.parts.see(page)
		if page.failure:
			_log_list(runtime, stream, run, writer, page.failure)
		listed, done = page, writer.complete(mode.wanted(page, writer.mapper).records)
		page = replace(page, records=[*done.records, *done.same])
		checkpoint = mode.after_page(page, writer.mapper)
		if not mode.met:
			mode.met = sum(map(writer.planner.is_ours, page.records))
		mode.pages_read += 1
		_commit(runtime, run, writer, page, done, checkpoint, whole=mode.whole)
		mode.note_page(listed)
		if time.monotonic() - kept >= KEEP_SECONDS:
			run.unidentified = writer.unidentified
			leave_off(runtime, stream, run, mode)
			kept = time.monotonic()
	mode.doubt = proof.doubt or mode.parts.doubt  # which a run that this one goes on with may have met


def _log_list(runtime: Runtime, stream: StreamConfig, run: Run, writer: PageWriter, error: Exception) -> None:
	"""Log that one list of many could not be fetched."""
	where = {"stream": stream.name, "sync_log": run.name}

	def log() -> str:
		return record_error(
			runtime,
			error,
			operation="Sync",
			integration=stream.integration,
			redactor=writer.redactor,
			**where,
		)

	writer.error_log = in_transaction(runtime.db, log) or writer.error_log


def _pages(
	runtime: Runtime, connector: BaseConnector, request: ListRequest, stream: StreamConfig
) -> Iterator[Page]:
	"""Fetch a list, a page ahead of what is written. Not a change feed, which may drop what is said to be behind."""
	return source_pages(runtime, connector, stream, replace(request, ahead=stream.mode != "Cursor"))


def _commit(
	runtime: Runtime,
	run: Run,
	writer: PageWriter,
	page: Page,
	done: Completed,
	checkpoint: str | None,
	again: bool = False,
	whole: bool = True,
) -> None:
	"""Commit a page as one transaction: documents, bindings, checkpoint and counts.

	What takes long, and a source that has all in one page, gets several: each with its documents, bindings and
	counts, the checkpoint with the last. Killed in between, a run meets the others when it fetches the page again.
	whole: is everything fetched that the source has?
	"""
	writer.part = Part(page.part, whole)
	rest, most, known = list(done.records), _MOST_AT_ONCE, done.known
	while True:

		def work(
			records: list[Record] = rest, most: int = most, known: list[str] = known
		) -> tuple[Counts, list[Record]]:
			counts, left = writer.write_some(records[:most], again=again)
			counts.add(writer.note_known(known, again))
			left += records[most:]
			counts.bytes = 0 if left else page.size
			advance(runtime, run, counts, None if left else checkpoint, pages=int(not left))
			return counts, left

		before = len(rest)
		counts, rest = in_transaction(runtime.db, work)
		known = []
		# The next part looks at no more records than it may have the time for: each look asks the database.
		most = min(max(2 * (before - len(rest)), _FEWEST_AT_ONCE), _MOST_AT_ONCE)
		run.counts.add(counts)
		run.counts.pages += not rest
		runtime.progress(run)
		if not rest:
			break
	run.checkpoint = run.checkpoint if checkpoint is None else checkpoint


def _confirm(runtime: Runtime, run: Run, writer: PageWriter, page: Page) -> Counts:
	writer.part = Part(page.part, True)
	writer.confirm(page.records)
	added = Counts(bytes=page.size)
	advance(runtime, run, added)
	return added
