"""The facts that a status follows from, as the database has them, and the one place that writes a stream's status."""

from __future__ import annotations

from integration_hub.stores import inbox
from integration_hub.stores.bindings import count_failed, count_held
from integration_hub.stores.database import Row, in_list, update
from integration_hub.stores.error_log import DOCTYPE as FAILURES
from integration_hub.stores.error_log import TOLD_OF
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import settings_row
from integration_hub.stores.statuses import (
	IntegrationFacts,
	QueueFacts,
	Standing,
	StreamFacts,
	integration_standing,
	stream_standing,
)

STREAMS, RUNS, INTEGRATIONS = "Sync Settings", "Sync Log", "Integration Settings"
BESIDE = ("Backfill", "Approval", "Retry")  # modes of runs that are not the stream's own turn
UNREAD_SECONDS = 600.0


def restate(runtime: Runtime, stream: str) -> str:
	"""Write a stream's status as it follows from the facts, within the current transaction; return it."""
	row = settings_row(runtime.db, STREAMS, stream)
	status = stream_standing(stream_facts(runtime, row)).status
	if status != row["status"]:
		update(runtime.db, STREAMS, stream, {"status": status})
	return status


def standing_of(runtime: Runtime, stream: str) -> Standing:
	"""Return a stream's status and why it is so; raises HubError if there is no such stream."""
	return stream_standing(stream_facts(runtime, settings_row(runtime.db, STREAMS, stream)))


def stream_facts(runtime: Runtime, row: Row) -> StreamFacts:
	"""Return what is known of a stream; row: its Sync Settings."""
	name = row["name"]
	return StreamFacts(
		running=bool(_runs(runtime, name, "`status` = 'Running'")),
		last=row["last_status"] or _last_status(runtime, name),
		in_a_row=row["consecutive_failures"] or 0,
		failed=count_failed(runtime.db, name),
		held=held(runtime, name),
		open=_open_of_stream(runtime, name),
	)


def held(runtime: Runtime, stream: str) -> int:
	"""Return how many documents of a stream wait to be removed on a person's word."""
	runs = _runs(runtime, stream, "`status` = 'Needs Approval'")
	return sum(count_held(runtime.db, stream, run["name"]) for run in runs)


def _runs(runtime: Runtime, stream: str, where: str) -> list[Row]:
	return runtime.db.query(f"SELECT `name` FROM `tab{RUNS}` WHERE `stream` = %s AND {where}", [stream])


def _last_status(runtime: Runtime, stream: str) -> str:
	"""Return how a stream's last run ended that an earlier version of the app has made, "" for none."""
	marks, beside = in_list(BESIDE)
	sql = f"""SELECT `status` FROM `tab{RUNS}` WHERE `stream` = %s AND `status` <> 'Running'
		AND `mode` NOT IN ({marks}) ORDER BY `name` DESC LIMIT 1"""
	rows = runtime.db.query(sql, [stream, *beside])
	return rows[0]["status"] if rows else ""


def _open_of_stream(runtime: Runtime, stream: str) -> int:
	sql = f"""SELECT COUNT(*) AS `n` FROM `tab{FAILURES}`
		WHERE `stream` = %s AND `status` = 'Open' AND `operation` <> '{TOLD_OF}'"""
	return runtime.db.query(sql, [stream])[0]["n"]


def integration_of(runtime: Runtime, name: str, paused: bool = False) -> Standing:
	"""Return an integration's status and why it is so; raises HubError if there is none.

	paused: are its calls paused? That stands where all processes see it, and not in the database.
	"""
	return integration_standing(
		integration_facts(runtime, settings_row(runtime.db, INTEGRATIONS, name), paused)
	)


def integration_facts(runtime: Runtime, row: Row, paused: bool = False) -> IntegrationFacts:
	"""Return what is known of an integration; row: its Integration Settings."""
	streams, events = _streams(runtime, row["name"]), inbox.counts(runtime, row["name"])
	failure, success = str(row["last_failure_at"] or ""), str(row["last_success_at"] or "")
	used = bool(failure or success or events or row["queue_read_at"] or _has_event(runtime, row["name"]))
	return IntegrationFacts(
		enabled=bool(row["enabled"]),
		used=used or any(status not in (None, "", "New") for status in streams),
		call_failed=failure > success,
		paused=paused,
		queue=queue_facts(runtime, row),
		streams=streams,
		events=events,
		open=_open_of_integration(runtime, row["name"]),
	)


def queue_facts(runtime: Runtime, row: Row) -> QueueFacts | None:
	"""Return how the reading of an integration's queue goes, None where it has none; row: its Integration Settings."""
	if not row["queue_enabled"]:
		return None
	since = max(
		str(row["queue_read_at"] or ""), str(row["modified"] or "")
	)  # settings that were just saved get their time first
	unread = bool(since) and since < runtime.now(ahead=-UNREAD_SECONDS)
	return QueueFacts(error=row["queue_error"] or "", unread=unread)


def _streams(runtime: Runtime, integration: str) -> dict[str, int]:
	sql = f"""SELECT `status`, COUNT(*) AS `n` FROM `tab{STREAMS}`
		WHERE `integration` = %s AND `enabled` = 1 GROUP BY `status`"""
	return {row["status"]: row["n"] for row in runtime.db.query(sql, [integration])}


def _has_event(runtime: Runtime, integration: str) -> bool:
	sql = "SELECT 1 FROM `tabWebhook Log` WHERE `integration` = %s AND `status` = 'Completed' LIMIT 1"
	return bool(runtime.db.query(sql, [integration]))


def _open_of_integration(runtime: Runtime, integration: str) -> int:
	"""Count the open failures that no status of a stream or an event tells of."""
	sql = f"""SELECT COUNT(*) AS `n` FROM `tab{FAILURES}` WHERE `integration` = %s AND `status` = 'Open'
		AND `operation` NOT IN ('{TOLD_OF}', 'Webhook', 'Queue') AND COALESCE(`stream`, '') = ''"""
	return runtime.db.query(sql, [integration])[0]["n"]
