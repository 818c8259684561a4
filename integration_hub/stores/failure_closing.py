"""Open failures that are over: what failed was done since.

A failure is closed by what it is about: of records when none of them is kept back by it any more, of events likewise, of
a run when a later one came to its end, of calls when the system answered.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from integration_hub.stores import bindings
from integration_hub.stores.database import Row, in_list
from integration_hub.stores.error_log import DOCTYPE, SYSTEM, TOLD_OF
from integration_hub.stores.runs import Run
from integration_hub.stores.runtime import Runtime

# What a failure is about, where its operation alone does not say so.
RECORD, CANCELLED, EVENT, REJECTED = "Record", "Cancelled Document", "Event", "Rejection"
GIVEN_UP = "Records Given Up"
CALLS = ("Test Connection", "Call")
BESIDE = {"Backfill": "Backfill", "Approval": "Delete"}  # mode of a run → the operation its failures have


def close_records(runtime: Runtime, stream: str) -> int:
	"""Close, within the current transaction, the failures that keep no record of a stream back any more.

	One of before failures were noted on records stays open as long as there is a record of which none is known.
	"""
	rows = [row for row in _open(runtime, "stream", stream) if _is_of_records(row)]
	if not rows:
		return 0
	unknown = bindings.kept_back(runtime.db, stream, None)
	return _close(runtime, [row for row in rows if not (unknown or _keeps_back(runtime, stream, row))])


def close_after(runtime: Runtime, run: Run, status: str) -> None:
	"""Close what a run has shown to be over, within the transaction that ends it; never what it has logged itself.

	A run that came to its end is over with what broke an earlier one off; and only one without failures with documents
	that could not be removed.
	"""
	close_records(runtime, run.stream)
	if status not in ("Completed", "Partial", "Needs Approval"):
		return
	rows = [row for row in _open(runtime, "stream", run.stream) if row["sync_log"] != run.name]
	_close(runtime, [row for row in rows if not _is_of_records(row) and _is_over(row, run, status)])


def _is_over(row: Row, run: Run, status: str) -> bool:
	if row["operation"] == "Delete":
		return status == "Completed" and (run.mode == "Approval" or run.own_turn)
	if row["about"] == CANCELLED or (row["external_id"] and not row["about"]):
		return run.own_turn and status == "Completed"
	if row["operation"] == "Backfill":
		return run.mode == "Backfill"
	return run.own_turn


def _is_of_records(row: Row) -> bool:
	return row["about"] == RECORD or row["kind"] == GIVEN_UP


def _keeps_back(runtime: Runtime, stream: str, row: Row) -> bool:
	if row["kind"] == GIVEN_UP:
		marks = f"SELECT 1 FROM `tab{bindings.DOCTYPE}` WHERE `status` = 'Dead' AND `stream` = %s LIMIT 1"
		return bool(runtime.db.query(marks, [stream]))
	return bindings.kept_back(runtime.db, stream, row["name"])


def close_events(runtime: Runtime, integration: str, names: Collection[str | None]) -> int:
	"""Close, within the current transaction, those of some failures that no event waits for a retry or a person with.

	names: of rows of the Integration Error Log.
	"""
	wanted = {name for name in names if name}
	rows = (
		[row for row in _open(runtime, "integration", integration) if row["name"] in wanted] if wanted else []
	)
	return _close(runtime, [row for row in rows if not _holds_events(runtime, integration, row["name"])])


def close_all_events(runtime: Runtime, integration: str) -> int:
	"""Close an integration's failures of events that are no longer there, or done: some may have been deleted."""
	rows = [row for row in _open(runtime, "integration", integration) if _is_of_events(row)]
	return _close(runtime, [row for row in rows if not _holds_events(runtime, integration, row["name"])])


def _is_of_events(row: Row) -> bool:
	return row["about"] == EVENT or (row["operation"] == "Webhook" and bool(row["webhook_log"]))


def _holds_events(runtime: Runtime, integration: str, name: str) -> bool:
	sql = """SELECT 1 FROM `tabWebhook Log` WHERE `integration` = %s AND `status` IN ('Failed', 'Dead')
		AND `error_log` = %s LIMIT 1"""
	return bool(runtime.db.query(sql, [integration, name]))


def close_stream(runtime: Runtime, stream: str) -> int:
	"""Close a stream's failures, within the transaction that deletes it: nothing can be done about them any more."""
	return _close(runtime, _open(runtime, "stream", stream))


def close_calls(runtime: Runtime, integration: str) -> int:
	"""Close, within the current transaction, what an answer of the system shows to be over.

	That is what kept all calls from it, and failures of calls that belong to no stream.
	"""
	rows = _open(runtime, "integration", integration)
	return _close(runtime, [row for row in rows if row["about"] == SYSTEM or _is_a_call(row)])


def _is_a_call(row: Row) -> bool:
	return row["operation"] in CALLS and not row["stream"]


def close_operation(runtime: Runtime, integration: str, operation: str) -> int:
	"""Close an integration's failures of one operation, within the current transaction: it goes well again."""
	return _close(
		runtime, [row for row in _open(runtime, "integration", integration) if row["operation"] == operation]
	)


def _open(runtime: Runtime, column: str, value: str) -> list[Row]:
	sql = f"""SELECT `name`, `operation`, `kind`, `about`, `stream`, `sync_log`, `webhook_log`, `external_id`
		FROM `tab{DOCTYPE}` WHERE `{column}` = %s AND `status` = 'Open' AND `operation` <> %s"""
	return runtime.db.query(sql, [value, TOLD_OF])


def _close(runtime: Runtime, rows: Sequence[Row]) -> int:
	if rows:
		marks, names = in_list(row["name"] for row in rows)
		sql = f"UPDATE `tab{DOCTYPE}` SET `status` = 'Resolved', `modified` = %s WHERE `name` IN ({marks})"
		runtime.db.execute(sql, [runtime.now(), *names])
	return len(rows)
