"""One run of one stream: fetch, write, checkpoint, page by page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial

from integration_hub.connectors.app_code import contained
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import RetryLater
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.secrets import redactor_for
from integration_hub.lazy_messages import _
from integration_hub.stores import bindings
from integration_hub.stores.database import in_transaction, update
from integration_hub.stores.error_log import record_error
from integration_hub.stores.runs import Counts, Run, advance, close_abandoned, open_run
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.stores.settings import note_success, settings_row
from integration_hub.stores.status_facts import restate
from integration_hub.sync.config import StreamConfig, load_stream
from integration_hub.sync.deletion import remove_approved, remove_orphans
from integration_hub.sync.details import Details
from integration_hub.sync.fetch_loop import deletion_allowed, fetch_all, parts_allow_deletion, second_pass
from integration_hub.sync.modes import Full, Period, mode_of
from integration_hub.sync.outcome import end_run, fail_run, final_status, let_go
from integration_hub.sync.page_writer import PageWriter
from integration_hub.sync.record_retries import report_given_up, retry_failed
from integration_hub.sync.resume import leave_off, resume
from integration_hub.sync.schedule import next_run
from integration_hub.sync.stream_checks import stream_context, stream_problems

DOCTYPE = "Sync Settings"
_ENOUGH_TO_TELL = 20  # records after which a source path that found nothing is worth a word


class AlreadyRunning(HubError):
	"""The stream is being synced by another process."""


class ListsFailed(Exception):
	"""Some of the lists of a stream could not be fetched; the others were, and written."""

	kind = "Error"

	def __init__(self, count: int, first: Exception | None) -> None:
		"""Say how many lists failed, and how the first one did."""
		said = f"{count} of the stream's lists could not be fetched; what is of them stays as it is."
		super().__init__(f"{said} The first: {first}" if first else said)


def run_stream(
	runtime: Runtime, name: str, triggered_by: str = "Person", period: Period | None = None
) -> dict:
	"""Run a stream to its end; return its Sync Log row.

	period: fetch what changed in it instead, and leave the checkpoint where it is (a backfill). A new stream, which is
	off, is switched on by its first run.

	Raises HubError when it cannot begin (disabled, wrong settings, running already); nothing is changed
	then. What goes wrong later ends in the Sync Log and the Integration Error Log, and is not raised.
	"""
	stream, integration = ready(runtime, name)
	mode_of(stream, period)  # may refuse the period
	with runtime.lock(f"sync:{name}") as free:
		if not free:
			raise AlreadyRunning(_("is running already"), doctype=DOCTYPE, name=name)
		kind = (mode_of(stream, period).name, str(period)) if period else ()
		run = in_transaction(
			runtime.db, lambda: _open(runtime, load_stream(runtime, name), triggered_by, *kind)
		)

		def work(redactor: Redactor) -> int:
			current = load_stream(runtime, name)
			return _sync(runtime, current, run, mode_of(current, period), redactor)

		with runtime.as_user(integration.run_as_user):
			_guarded(runtime, stream, run, work)
	return settings_row(runtime.db, "Sync Log", run.name)


def approve_deletions(runtime: Runtime, held_by: str, triggered_by: str = "Person") -> dict:
	"""Remove the documents that a run held back for approval; return the Sync Log row of the removal.

	Raises HubError if the run holds nothing.
	"""
	held = settings_row(runtime.db, "Sync Log", held_by)
	if held["status"] != "Needs Approval":
		raise HubError(_("has no deletions waiting for approval"), doctype="Sync Log", name=held_by)

	def work(stream: StreamConfig, run: Run, redactor: Redactor) -> int:
		remove_approved(runtime, stream, run, held_by, redactor)
		return (
			0  # what could not be removed is held on: `let_go` ends the waiting of `held_by` where nothing is
		)

	return run_beside(runtime, held["stream"], "Approval", triggered_by, work)


def run_beside(
	runtime: Runtime,
	name: str,
	mode: str,
	triggered_by: str,
	work: Callable[[StreamConfig, Run, Redactor], int],
) -> dict:
	"""Do a work on a stream that is not its own turn, as a run; return its Sync Log row. Raises HubError as run_stream does.

	work: returns how many deletions wait for approval.
	"""
	stream, integration = ready(runtime, name)
	with runtime.lock(f"sync:{name}") as free:
		if not free:
			raise AlreadyRunning(_("is running already"), doctype=DOCTYPE, name=name)
		run = in_transaction(runtime.db, lambda: _open(runtime, stream, triggered_by, mode))
		with runtime.as_user(integration.run_as_user):
			_guarded(runtime, stream, run, lambda redactor: work(stream, run, redactor))
	return settings_row(runtime.db, "Sync Log", run.name)


def refuse_deletions(runtime: Runtime, held_by: str, person: str = "") -> int:
	"""Keep the documents that a run held back for approval; return how many.

	They are not asked about again, until the source has their record once more, or `ask_again`. Raises HubError if the
	run holds nothing, or the stream is running.
	"""
	held = settings_row(runtime.db, "Sync Log", held_by)
	if held["status"] != "Needs Approval":
		raise HubError(_("has no deletions waiting for approval"), doctype="Sync Log", name=held_by)

	def keep() -> int:
		count = bindings.keep_missing(runtime.db, held["stream"], held_by)
		let_go(runtime, held["stream"])
		said = f"{count} documents were kept by decision of {person or 'a person'}."
		update(runtime.db, "Sync Log", held_by, {"error": said})
		restate(runtime, held["stream"])
		return count

	with runtime.lock(f"sync:{held['stream']}") as free:
		if not free:
			raise AlreadyRunning(_("is running already"), doctype=DOCTYPE, name=held["stream"])
		return in_transaction(runtime.db, keep)


def ask_again(runtime: Runtime, stream: str) -> int:
	"""Have the removals of a stream asked about again that were refused; return how many."""
	settings_row(runtime.db, DOCTYPE, stream)
	return in_transaction(runtime.db, lambda: bindings.ask_again(runtime.db, stream))


def ready(
	runtime: Runtime, name: str, include_disabled: bool = False
) -> tuple[StreamConfig, IntegrationConfig]:
	"""Return the settings of a stream that can run; raises HubError saying what is in the way.

	include_disabled: it may be switched off, for a look at what it would do.
	"""
	stream = load_stream(runtime, name)
	if stream.direction == "Out":
		raise HubError(
			_("is a stream of direction Out: it sends, and fetches nothing"),
			doctype=DOCTYPE,
			name=name,
			field="direction",
		)
	if not (stream.enabled or include_disabled or runtime.is_new(name)):
		raise HubError(_("is disabled"), doctype=DOCTYPE, name=name, field="enabled")
	integration = runtime.integration(stream.integration)
	if not integration.enabled:
		raise HubError(
			_("is disabled"), doctype="Integration Settings", name=integration.name, field="enabled"
		)
	fields = runtime.target(stream.target_doctype, stream.write_mode).fields()
	for field, sentence in stream_problems(stream, fields, stream_context(runtime)):
		raise HubError(sentence, doctype=DOCTYPE, name=name, field=field)
	return stream, integration


def _open(runtime: Runtime, stream: StreamConfig, triggered_by: str, kind: str = "", period: str = "") -> Run:
	"""Open a run. beside: what it is if it is not the stream's own: a backfill, an approval."""
	if stream.mode in close_abandoned(runtime, stream.name):
		update(runtime.db, DOCTYPE, stream.name, {"last_status": "Interrupted"})
	run = open_run(runtime, stream, triggered_by)
	state = {"status": "Running", "last_run_at": runtime.now()}
	if kind:
		run.mode, run.own_turn = kind, False
		update(runtime.db, "Sync Log", run.name, {"mode": kind, "period": period or None})
	else:
		# A request for a run from now on is for another one: this one may have passed what it is about. Killed, it is
		# not due again before it is found out (see schedule.close_silent_runs).
		state |= {"wanted": 0, "next_run_at": next_run(stream, runtime.now())}
	if runtime.is_new(stream.name):
		state |= {"last_run_at": None} if kind else {"enabled": 1}  # its first run switches it on
	update(runtime.db, DOCTYPE, stream.name, state)
	return run


def _guarded(runtime: Runtime, stream: StreamConfig, run: Run, work: Callable[[Redactor], int]) -> None:
	"""Do the work and write how it ended, whatever happens."""
	redactor = Redactor()
	try:
		runtime.progress(run)
		redactor = redactor_for(runtime.secrets(stream.integration))
		waiting = contained(work)(redactor)  # a connector of an app may want to end the process
	except RetryLater as error:
		end_run(runtime, stream, run, "Postponed", delay=error.seconds, error=redactor.text(error, 500))
	except Exception as error:  # noqa: BLE001 - the boundary of a run: its failure goes to the logs
		fail_run(runtime, stream, run, redactor, error)
	except BaseException:
		end_run(runtime, stream, run, "Interrupted", error="The process was stopped.")
		raise
	else:
		end_run(
			runtime, stream, run, final_status(run, waiting), error=run.note or None, error_log=run.error_log
		)


def _sync(runtime: Runtime, stream: StreamConfig, run: Run, mode: Full, redactor: Redactor) -> int:
	"""Fetch and write everything; return the number of deletions that wait for approval."""
	resume(runtime, stream, run, mode)
	writer = PageWriter(
		runtime, stream, redactor, mark=run.mark, operation="Sync", run=run, sync_log=run.name
	)
	with closing(runtime.connector(stream.integration)) as connector:
		connector.report_pauses(partial(_report, runtime, run))
		writer.know(connector.redactor)
		writer.details = Details(runtime, stream, connector, writer.mapper)
		# A retry does not count as meeting the record: where unmet records are gone, the fetch itself has to bring it.
		if mode.retries_failed and not mode.finds_orphans:
			retry_failed(runtime, stream, run, writer)
		mode.stable = (connector.stable_pages or stream.stable_pages) and not stream.has_many_lists
		mode.parts.stable = connector.stable_pages or stream.stable_pages
		mode.parts.note = partial(_note_absent, runtime, stream, run)
		try:
			if not mode.again:
				fetch_all(runtime, stream, run, mode, writer, connector)
			if mode.looks_twice and mode.pages_read > 1 and not mode.doubt:
				second_pass(runtime, run, mode, writer, connector)
		except BaseException as error:
			# Put off, or asked to stop: the next run goes on here. What failed begins at the beginning.
			if isinstance(error, RetryLater) or not isinstance(error, Exception):
				run.unidentified = writer.unidentified
				leave_off(runtime, stream, run, mode)
			raise
		in_transaction(runtime.db, lambda: _arrived(runtime, stream, run, mode, redactor))
		run.arrived = True
		report_given_up(runtime, stream, run, writer)
		_take_notes(runtime, stream, run, mode, writer, connector)
		_remove_what_is_gone(runtime, stream, run, mode, writer, connector)
		_note_doubt(stream, run, mode)
	if mode.parts.failed and not run.counts.to_delete:
		raise ListsFailed(mode.parts.failed, mode.parts.error)
	return run.counts.to_delete


def _remove_what_is_gone(
	runtime: Runtime, stream: StreamConfig, run: Run, mode: Full, writer: PageWriter, connector: BaseConnector
) -> None:
	"""Remove what a fetch did not meet, where that proves something: of all lists, or of those that were whole."""
	by_parts = mode.proves_parts and parts_allow_deletion(stream, mode, writer)
	if by_parts:
		mode.parts.flush()
		remove_orphans(runtime, stream, run, writer.redactor, absent=True)
	elif mode.finds_orphans and deletion_allowed(runtime, stream, run, mode, writer, connector):
		remove_orphans(runtime, stream, run, writer.redactor)


def _note_absent(runtime: Runtime, stream: StreamConfig, run: Run, parts: list[str]) -> None:
	"""Note what is gone of lists that are whole."""
	in_transaction(runtime.db, lambda: bindings.mark_absent(runtime.db, stream.name, parts, run.mark.number))


def _report(runtime: Runtime, run: Run, sentence: str) -> None:
	"""Tell who watches a run that it waits, and what for."""
	run.waiting = sentence
	runtime.progress(run)
	run.waiting = ""


def _note_doubt(stream: StreamConfig, run: Run, mode: Full) -> None:
	"""Say why the list is not known to be complete, and what was not done for that reason."""
	if not mode.doubt:
		return
	left = []
	if mode.finds_orphans and stream.deletion_policy != "Keep":
		some = mode.parts.any_proven and bool(mode.parts.doubt)
		left.append("only what complete lists no longer hold was removed" if some else "nothing was removed")
	if mode.after_all() not in (None, run.checkpoint):
		left.append("the watermark was not moved")
	undone = f" Until it is, {' and '.join(left)}." if left else ""
	run.note = f"{mode.doubt}{undone} {run.note}".strip()


def _take_notes(
	runtime: Runtime, stream: StreamConfig, run: Run, mode: Full, writer: PageWriter, connector: BaseConnector
) -> None:
	"""Put into the run what a person should see first."""
	run.error_log = writer.error_log
	notes = [run.note]
	first = not settings_row(runtime.db, DOCTYPE, stream.name)["last_success_at"]
	if silent := _silent(run, mode, writer, first, connector.deletions_apart):
		notes.append(f"In {run.counts.fetched} records nothing was found at {silent}.")
	if mode.passed[1] and stream.record_filter and not mode.met:
		notes.append(
			f"None of the {mode.passed[1]} records received passes the Record Filter (record_filter)."
		)
	if writer.first_error:
		failed = run.counts.failed - run.retried
		if failed:
			notes.append(f"{failed} of {run.counts.fetched} records failed.")
		if run.retried:
			notes.append(f"Failed again, of records that had failed before: {run.retried}.")
		notes.append(f"The first: {writer.first_error}")
	elif run.counts.fetched >= _ENOUGH_TO_TELL and (paths := writer.mapper.never_found()):
		notes.append(f"In {run.counts.fetched} records nothing was found at: {', '.join(paths)}.")
	if writer.skipped:
		notes.append(f"{writer.skipped} records were skipped by the stream's rules.")
	if writer.details and writer.details.missing:
		missing = writer.details.missing
		notes.append(f"{missing} records have no detail (record_endpoint), and were left as they are.")
	if writer.overruled:
		fields = ", ".join(sorted(writer.overruled))
		notes.append(
			f"In {fields} documents have another value than the source, because their DocType's code decides there."
		)
	run.note = " ".join(filter(None, notes))


def _silent(run: Run, mode: Full, writer: PageWriter, first: bool, apart: bool) -> str:
	"""Return the source's own marks at which no record had anything, as text: they may be mistyped.

	first: does the stream complete for the first time? apart: does the source tell of deletions in records of their
	own, which there need not be?
	"""
	silent = dict(writer.mapper.silent) if run.counts.fetched else {}
	if not (first or mode.name == "Incremental" or run.counts.fetched >= _ENOUGH_TO_TELL):
		silent.pop("updated_at_path", None)
	if apart or not first:
		silent.pop("deleted_path", None)
	said = [f"{path!r} ({name})" for name, path in silent.items()]
	if "deleted_path" in silent:
		said[-1] += ", which is correct only if only deleted records have it"
	return " and ".join(said)


def _arrived(runtime: Runtime, stream: StreamConfig, run: Run, mode: Full, redactor: Redactor) -> None:
	"""Take notice that the fetch ran to its end; the watermark moves there only where that is known to be the list's."""
	advance(runtime, run, Counts(), None if mode.doubt else mode.after_all(), pages=0)
	if mode.whole and not mode.doubt:
		bindings.drop_unidentified(runtime.db, stream.name, run.mark.by)
	note_success(runtime, stream.integration)
	if mode.in_the_future:
		error = HubError(
			_(
				"{0} records have a change time more than a day in the future, which the watermark ignores",
				mode.in_the_future,
			),
			doctype=DOCTYPE,
			name=stream.name,
			field="updated_at_path",
		)
		where = {"stream": stream.name, "sync_log": run.name}
		record_error(
			runtime, error, operation="Sync", integration=stream.integration, redactor=redactor, **where
		)
