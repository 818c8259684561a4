"""One run of one stream: fetch, write, checkpoint, page by page."""

from __future__ import annotations

from contextlib import closing

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import RetryLater
from integration_hub.connectors.pages import Page
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.secrets import redactor_for
from integration_hub.stores.database import in_transaction, update
from integration_hub.stores.errors import record_error
from integration_hub.stores.home import Home, HubError
from integration_hub.stores.runs import Counts, Run, advance, close_abandoned, close_run, open_run
from integration_hub.stores.settings import child_rows, note_failure, note_success, settings_row
from integration_hub.sync.check import stream_problems
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.deletion import remove_approved, remove_orphans
from integration_hub.sync.modes import mode_of
from integration_hub.sync.page import PageWriter, failed_records
from integration_hub.sync.schedule import next_run

DOCTYPE = "Sync Settings"


class AlreadyRunning(HubError):
	"""The stream is being synced by another process."""


def load_stream(home: Home, name: str) -> StreamConfig:
	"""Return a stream's settings; raises HubError if there are none or they cannot be read."""
	row = settings_row(home.db, DOCTYPE, name)
	try:
		return StreamConfig.from_row(row, child_rows(home.db, "Sync Field Mapping", name))
	except ValueError as error:
		raise HubError(str(error), doctype=DOCTYPE, name=name) from None


def run_stream(home: Home, name: str, triggered_by: str = "Person") -> dict:
	"""Run a stream to its end; return its Sync Log row.

	Raises HubError when it cannot begin (disabled, wrong settings, running already); nothing is changed
	then. What goes wrong later ends in the Sync Log and the Integration Error Log, and is not raised.
	"""
	stream, integration = _ready(home, name)
	with home.lock(f"sync:{name}") as free:
		if not free:
			raise AlreadyRunning("is running already", doctype=DOCTYPE, name=name)
		run = in_transaction(home.db, lambda: _open(home, load_stream(home, name), triggered_by))
		with home.as_user(integration.run_as_user):
			_guarded(home, stream, run, lambda redactor: _sync(home, load_stream(home, name), run, redactor))
	return settings_row(home.db, "Sync Log", run.name)


def approve_deletions(home: Home, held_by: str, triggered_by: str = "Person") -> dict:
	"""Remove the documents that a run held back for approval; return the Sync Log row of the removal.

	Raises HubError if the run holds nothing.
	"""
	held = settings_row(home.db, "Sync Log", held_by)
	if held["status"] != "Needs Approval":
		raise HubError("has no deletions waiting for approval", doctype="Sync Log", name=held_by)
	stream, integration = _ready(home, held["stream"])
	with home.lock(f"sync:{stream.name}") as free:
		if not free:
			raise AlreadyRunning("is running already", doctype=DOCTYPE, name=stream.name)

		def begin() -> Run:
			run = _open(home, stream, triggered_by)
			update(home.db, "Sync Log", held_by, {"status": "Completed"})
			return run

		run = in_transaction(home.db, begin)
		with home.as_user(integration.run_as_user):
			_guarded(
				home, stream, run, lambda redactor: remove_approved(home, stream, run, held_by, redactor) or 0
			)
	return settings_row(home.db, "Sync Log", run.name)


def _ready(home: Home, name: str) -> tuple[StreamConfig, IntegrationConfig]:
	stream = load_stream(home, name)
	if not stream.enabled:
		raise HubError("is disabled", doctype=DOCTYPE, name=name, field="enabled")
	integration = home.integration(stream.integration)
	if not integration.enabled:
		raise HubError("is disabled", doctype="Integration Settings", name=integration.name, field="enabled")
	fieldtypes = home.target(stream.target_doctype, stream.write_mode).fieldtypes()
	for field, sentence in stream_problems(stream, fieldtypes):
		raise HubError(sentence, doctype=DOCTYPE, name=name, field=field)
	return stream, integration


def _open(home: Home, stream: StreamConfig, triggered_by: str) -> Run:
	close_abandoned(home, stream.name)
	run = open_run(home, stream, triggered_by)
	update(home.db, DOCTYPE, stream.name, {"status": "Running", "last_run_at": home.now()})
	return run


def _guarded(home: Home, stream: StreamConfig, run: Run, work) -> None:
	"""Do the work and write how it ended, whatever happens."""
	redactor = redactor_for(home.secrets(stream.integration))
	try:
		waiting = work(redactor)
	except RetryLater as error:
		_end(home, stream, run, "Postponed", delay=error.seconds, error=redactor.text(error, 500))
	except Exception as error:  # noqa: BLE001 - the run's owner is a worker: the failure goes to the logs
		_fail(home, stream, run, redactor, error)
	except BaseException:
		_end(home, stream, run, "Interrupted", error="The process was asked to stop.")
		raise
	else:
		status = "Needs Approval" if waiting else "Partial" if run.counts.failed else "Completed"
		_end(home, stream, run, status)


def _sync(home: Home, stream: StreamConfig, run: Run, redactor: Redactor) -> int:
	"""Fetch and write everything; return the number of deletions that wait for approval."""
	mode = mode_of(stream)
	writer = PageWriter(home, stream, redactor, seen=run.name, operation="Sync", sync_log=run.name)
	if not mode.finds_orphans:  # a full run fetches the failed ones again by itself
		_retry_failed(home, stream, run, writer)
	with closing(home.connector(stream.integration)) as connector:
		for page in connector.pages(mode.request()):
			checkpoint = mode.after_page(page, writer.mapper)
			if page.last:
				checkpoint = mode.after_all() or checkpoint
			_commit(home, run, writer, page, checkpoint)
	in_transaction(home.db, lambda: note_success(home, stream.integration))
	return remove_orphans(home, stream, run, redactor) if mode.finds_orphans else 0


def _commit(home: Home, run: Run, writer: PageWriter, page: Page, checkpoint: str | None) -> None:
	"""One page is one transaction: documents, bindings, checkpoint and counts."""

	def work() -> Counts:
		counts = writer.write(page.records)
		counts.bytes = page.size
		advance(home, run, counts, checkpoint)
		return counts

	run.counts.add(in_transaction(home.db, work))
	run.counts.pages += 1
	home.progress(run)


def _retry_failed(home: Home, stream: StreamConfig, run: Run, writer: PageWriter) -> None:
	for records in failed_records(home, stream):
		_commit(home, run, writer, Page(records, "", False, 0), None)


def _fail(home: Home, stream: StreamConfig, run: Run, redactor: Redactor, error: Exception) -> None:
	def log() -> str:
		where = {"stream": stream.name, "sync_log": run.name}
		note_failure(home, stream.integration, redactor.text(error, 500))
		return record_error(
			home, error, operation="Sync", integration=stream.integration, redactor=redactor, **where
		)

	_end(home, stream, run, "Failed", error=redactor.text(error, 500), error_log=in_transaction(home.db, log))


_STREAM_STATUS = {
	"Completed": "OK",
	"Partial": "Failing",
	"Failed": "Failing",
	"Interrupted": "Failing",
	"Postponed": "Waiting",
	"Needs Approval": "Needs Approval",
}


def _end(
	home: Home, stream: StreamConfig, run: Run, status: str, *, delay: float | None = None, **values
) -> None:
	def work() -> None:
		row = settings_row(home.db, DOCTYPE, stream.name)
		failures = row["consecutive_failures"] + 1 if status in ("Failed", "Interrupted") else 0
		state = {
			"status": _STREAM_STATUS[status],
			"consecutive_failures": failures,
			"next_run_at": home.now(ahead=delay) if delay else next_run(stream, home.now(), failures),
		}
		if status in ("Completed", "Partial", "Needs Approval"):
			state["last_success_at"] = home.now()
		close_run(home, run, status, **values)
		update(home.db, DOCTYPE, stream.name, state)

	in_transaction(home.db, work)
	home.progress(run)
