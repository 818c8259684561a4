"""How a run ends, and what that means for its stream."""

from __future__ import annotations

from typing import Any

from integration_hub.connectors.redact import Redactor
from integration_hub.stores.bindings import count_held
from integration_hub.stores.database import in_transaction, update
from integration_hub.stores.errors import record_error, resolve_errors
from integration_hub.stores.home import Home
from integration_hub.stores.runs import Run, close_run
from integration_hub.stores.settings import note_failure, settings_row
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.schedule import next_run, soon

DOCTYPE = "Sync Settings"


def fail_run(home: Home, stream: StreamConfig, run: Run, redactor: Redactor, error: Exception) -> None:
	"""Log what broke a run off, and end it."""

	def log() -> str:
		where = {"stream": stream.name, "sync_log": run.name}
		note_failure(home, stream.integration, redactor.text(error, 500))
		return record_error(
			home, error, operation="Sync", integration=stream.integration, redactor=redactor, **where
		)

	end_run(
		home, stream, run, "Failed", error=redactor.text(error, 500), error_log=in_transaction(home.db, log)
	)


def ending(run: Run, waiting: int) -> str:
	"""Return the status of a run that came to its end; `waiting` deletions want approval."""
	if waiting:
		return "Needs Approval"
	counts, failed = run.counts, run.counts.failed - run.retried
	if not counts.failed:
		return "Completed"
	return "Failed" if failed and failed >= (counts.fetched or counts.deleted + failed) else "Partial"


_STREAM_STATUS = {
	"Completed": "OK",
	"Partial": "Failing",
	"Failed": "Failing",
	"Interrupted": "Failing",
	"Postponed": "Waiting",
	"Needs Approval": "Needs Approval",
}


def end_run(
	home: Home, stream: StreamConfig, run: Run, status: str, *, delay: float | None = None, **values
) -> None:
	"""Write the end of a run, with more columns of its Sync Log, and when its stream is due next.

	delay: seconds after which the source wants to be asked again.
	"""

	def work() -> None:
		if not close_run(home, run, status, **values):
			return  # another run has taken over: the stream is its now
		state = {"status": _STREAM_STATUS[status], **_next_turn(home, stream, run, status, delay)}
		if not run.own_turn:  # its end says nothing of the stream's own turn
			approved = run.stream_status == "Needs Approval" and run.mode == "Approval"
			state = {"status": "OK" if approved and status == "Completed" else run.stream_status}
		elif status == "Completed":
			resolve_errors(home, stream=stream.name)
		if _still_held(home, stream) and state["status"] in ("OK", "Waiting"):
			state["status"] = "Needs Approval"
		update(home.db, DOCTYPE, stream.name, state)

	in_transaction(home.db, work)
	run.status = status
	home.progress(run)


def _still_held(home: Home, stream: StreamConfig) -> bool:
	"""Tell whether deletions wait for approval; a run whose deletions were all met or held again waits no more."""
	sql = "SELECT `name` FROM `tabSync Log` WHERE `stream` = %s AND `status` = 'Needs Approval'"
	held = False
	for row in home.db.query(sql, [stream.name]):
		if count_held(home.db, stream.name, row["name"]):
			held = True
		else:
			said = "What it held back is in the source again, or a later run holds it."
			update(home.db, "Sync Log", row["name"], {"status": "Completed", "error": said})
	return held


def _next_turn(
	home: Home, stream: StreamConfig, run: Run, status: str, delay: float | None
) -> dict[str, Any]:
	"""Return what the end of a run means for the stream's next one."""
	row = settings_row(home.db, DOCTYPE, stream.name)
	failures = row["consecutive_failures"]
	if status != "Postponed":  # which says nothing of the stream: the source, or its breaker, has put it off
		failures = failures + 1 if status in ("Failed", "Interrupted") and not run.arrived else 0
	turn = soon if status == "Interrupted" else next_run
	state = {
		"consecutive_failures": failures,
		"next_run_at": home.now(ahead=delay) if delay else turn(stream, home.now(), failures),
	}
	ended = status in ("Completed", "Partial", "Needs Approval")
	# A walk of a whole feed goes on however often it is cut off; one of a list begins again where it failed.
	if ended or (status == "Failed" and stream.mode != "Cursor"):
		state["resume"] = None
	if ended:
		state |= {"last_success_at": home.now(), "last_duration": run.duration}
	return state
