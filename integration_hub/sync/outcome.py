"""Outcomes of runs, and what they mean for the stream."""

from __future__ import annotations

from typing import Any

from integration_hub.connectors.redact import Redactor
from integration_hub.stores.bindings import count_held
from integration_hub.stores.database import Row, in_transaction, update
from integration_hub.stores.error_log import record_error
from integration_hub.stores.failure_closing import BESIDE, close_after
from integration_hub.stores.runs import Run, close_run, outcome
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import note_failure, settings_row
from integration_hub.stores.status_facts import restate
from integration_hub.stores.statuses import BROKEN_OFF, run_status
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.schedule import next_run, soon

DOCTYPE = "Sync Settings"


def fail_run(runtime: Runtime, stream: StreamConfig, run: Run, redactor: Redactor, error: Exception) -> None:
	"""Log what broke a run off, and end it."""

	def log() -> str:
		where = {"stream": stream.name, "sync_log": run.name}
		note_failure(runtime, stream.integration, redactor.text(error, 500))
		operation = BESIDE.get(run.mode, "Sync")
		return record_error(
			runtime, error, operation=operation, integration=stream.integration, redactor=redactor, **where
		)

	end_run(
		runtime,
		stream,
		run,
		"Failed",
		error=redactor.text(error, 500),
		error_log=in_transaction(runtime.db, log),
	)


def final_status(run: Run, waiting: int) -> str:
	"""Return the status of a run that came to its end; `waiting` deletions want approval."""
	counts = run.counts
	return run_status(counts.fetched, counts.deleted, counts.failed, run.retried, waiting)


def end_run(
	runtime: Runtime, stream: StreamConfig, run: Run, status: str, *, delay: float | None = None, **values
) -> None:
	"""Write the end of a run, with more columns of its Sync Log, and when its stream is due next.

	delay: seconds after which the source wants to be asked again.
	"""

	def work() -> None:
		if not close_run(runtime, run, status, **values):
			return  # another run has taken over the stream
		if run.own_turn:  # the end of a run beside the stream's own says nothing of its next turn
			update(runtime.db, DOCTYPE, stream.name, _next_turn(runtime, stream, run, status, delay))
		close_after(runtime, run, status)
		let_go(runtime, stream.name)
		restate(runtime, stream.name)

	in_transaction(runtime.db, work)
	run.status = status
	runtime.progress(run)


def let_go(runtime: Runtime, stream: str) -> None:
	"""End the waiting of runs whose deletions were all met, refused or held again, within the current transaction."""
	sql = "SELECT * FROM `tabSync Log` WHERE `stream` = %s AND `status` = 'Needs Approval'"
	for row in runtime.db.query(sql, [stream]):
		if not count_held(runtime.db, stream, row["name"]):
			said = "Nothing waits anymore: the records are in the source again, were decided on, or wait in a later run."
			values = {"status": ended_alone(row), "error": row["error"] if row["failed"] else said}
			update(runtime.db, "Sync Log", row["name"], values)


def ended_alone(row: Row) -> str:
	"""Return the status of a run, by its Sync Log row, but for the deletions that it held back."""
	return run_status(row["fetched"], row["deleted"], row["failed"])


def _next_turn(
	runtime: Runtime, stream: StreamConfig, run: Run, status: str, delay: float | None
) -> dict[str, Any]:
	"""Return what the end of a run means for the stream's next one."""
	row = settings_row(runtime.db, DOCTYPE, stream.name)
	failures = row["consecutive_failures"]
	if status != "Postponed":  # which says nothing of the stream: the source, or its breaker, has put it off
		failures = failures + 1 if status in BROKEN_OFF else 0
	turn = soon if status == "Interrupted" else next_run
	stretch = 0 if run.arrived else failures  # a source that was read to its end is asked again in time
	state = {
		"consecutive_failures": failures,
		"next_run_at": runtime.now(ahead=delay) if delay else turn(stream, runtime.now(), stretch),
		"last_status": "Partial" if run.arrived and status == "Failed" else status,  # its records say more
		"last_outcome": outcome(run, status),
	}
	ended = status in ("Completed", "Partial", "Needs Approval")
	# A fetch of a whole feed goes on however often it is cut off; one of a list begins again where it failed.
	if ended or (status == "Failed" and stream.mode != "Cursor"):
		state["resume"] = None
	if ended:
		state["last_duration"] = run.duration
	if ended and not run.counts.failed:
		state["last_success_at"] = runtime.now()
	return state
