"""Schedules: when a stream is due."""

from __future__ import annotations

from datetime import datetime, timedelta

from integration_hub.connectors.setting_ranges import RANGES
from integration_hub.stores.clock import slack
from integration_hub.stores.database import Row, in_transaction, update
from integration_hub.stores.runs import close_abandoned, silent_streams
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import INBOUND, stream_rows
from integration_hub.stores.status_facts import restate
from integration_hub.sync.config import DEFAULT_MINUTES, StreamConfig
from integration_hub.sync.cron import next_times
from integration_hub.sync.fault_isolation import isolated, note_clock

SILENT_SECONDS = 5 * 60
_LONGEST_PAUSE = 8 * 86_400.0  # a source may ask for a week
_ONCE_A_DAY = timedelta(days=1)
_MAX_BACKOFF = 12  # times its interval: a failing hourly stream is tried at least twice a day
_FORMAT = "%Y-%m-%d %H:%M:%S.%f"


def next_run(stream: StreamConfig, now: str, failures: int = 0) -> str | None:
	"""Return when the stream is due next, None if it is not scheduled; failures in a row stretch it.

	Settings that were saved before they were checked may name no time at all: such a stream is looked at once a
	day, which says what is wrong with it. Raises nothing: the next run of one stream is no matter of the others.
	"""
	if stream.schedule == "Off":
		return None
	moment = datetime.fromisoformat(now)
	stretch = min(2 ** min(max(failures - 1, 0), 10), _MAX_BACKOFF)
	if stream.schedule == "Cron":
		due = next_times(stream.cron, moment, stretch)[-1:]
	else:
		minutes = stream.interval_minutes if stream.schedule == "Interval" else _default_minutes(stream.mode)
		possible = 0 < minutes <= RANGES["interval_minutes"].largest
		due = [moment + timedelta(minutes=minutes * stretch)] if possible else []
	return (due[0] if due else moment + _ONCE_A_DAY).strftime(_FORMAT)


def _default_minutes(mode: str) -> int:
	return DEFAULT_MINUTES.get(mode, DEFAULT_MINUTES["Full"])


def soon(stream: StreamConfig, now: str, failures: int) -> str | None:
	"""Return when a stream is due whose run was broken off: in a minute, and later each time it happens again.

	Its whole interval would be long where that is a day, and what the run was at is half done.
	"""
	turn = next_run(stream, now)
	if turn is None:
		return None
	ahead = timedelta(minutes=2 ** min(max(failures - 1, 0), _MAX_BACKOFF))
	return min(turn, (datetime.fromisoformat(now) + ahead).strftime(_FORMAT))


def due_streams(runtime: Runtime) -> list[str]:
	"""Return the names of the streams that are due now, those whose last run was short first."""
	mend_times(runtime)
	where = f"""`enabled` = 1 AND {INBOUND}
		AND (`wanted` = 1 OR `next_run_at` <= %s OR (`schedule` <> 'Off' AND `next_run_at` IS NULL))
		AND `integration` IN (SELECT `name` FROM `tabIntegration Settings` WHERE `enabled` = 1)"""
	rows = stream_rows(runtime.db, "`name`, `mode`, `last_duration`", where, runtime.now())
	# Before its first run, a stream of short intervals is taken for a small one.
	rows.sort(key=lambda row: (row["last_duration"] or 0, _default_minutes(row["mode"])))
	return [row["name"] for row in rows]


def mend_times(runtime: Runtime) -> list[str]:
	"""Make streams due that a clock which was ahead has put off, and say so; return their names."""
	soon, later = runtime.now(ahead=slack(runtime)), runtime.now(ahead=_LONGEST_PAUSE)
	where = (
		"`enabled` = 1 AND COALESCE(`status`, '') <> 'Running' AND (`last_run_at` > %s OR `next_run_at` > %s)"
	)
	mended = []
	for row in stream_rows(runtime.db, "*", where, soon, later):
		with isolated(runtime, operation="Sync", stream=row["name"]):
			if str(row["last_run_at"] or "") > soon or str(row["next_run_at"]) > _latest(runtime, row, later):
				_mend(runtime, row)
				mended.append(row["name"])
	return mended


def _latest(runtime: Runtime, row: Row, later: str) -> str:
	"""Return when a stream is due at the latest, however often it has failed, or whatever pause its source has asked for."""
	try:
		return max(later, next_run(StreamConfig.from_row(row, ()), runtime.now(), 99) or "")
	except ValueError:
		return later


def _mend(runtime: Runtime, row: Row) -> None:
	now = runtime.now()
	said = f"A clock was ahead: it ran last at {row['last_run_at']}, and was due next at {row['next_run_at']}. It is due now."
	state = {
		"next_run_at": now if row["next_run_at"] else None,
		"last_run_at": min(str(row["last_run_at"] or now), now),
	}
	in_transaction(runtime.db, lambda: update(runtime.db, "Sync Settings", row["name"], state))
	note_clock(runtime, row["integration"] or "", said, row["name"])


def want(runtime: Runtime, stream: str) -> None:
	"""Have a stream run soon, within the current transaction: even if it is running now."""
	update(runtime.db, "Sync Settings", stream, {"wanted": 1})


def switch_on(runtime: Runtime, stream: str) -> None:
	"""Let a stream run on its schedule, within the current transaction: a new one is off while it is being set up."""
	update(runtime.db, "Sync Settings", stream, {"enabled": 1})


def put_off(runtime: Runtime, name: str) -> None:
	"""Let a stream that cannot begin wait for its next turn; a day, where its settings cannot even be read."""
	for row in stream_rows(runtime.db, "*", "`name` = %s", name):
		try:
			due = next_run(StreamConfig.from_row(row, ()), runtime.now())
		except ValueError:
			due = runtime.now(ahead=_ONCE_A_DAY.total_seconds())
		update(runtime.db, "Sync Settings", name, {"next_run_at": due, "wanted": 0})


def close_silent_runs(runtime: Runtime) -> list[str]:
	"""Close the runs whose process is gone, and let their streams go on; return those streams.

	A run is silent while a page takes long, too: only when nobody holds the stream's lock is it taken for dead.
	The first time its stream is due at once; one that kills its workers again is so later each time.
	"""
	closed = []
	for name in silent_streams(runtime, SILENT_SECONDS):
		with isolated(runtime, operation="Sync", stream=name), runtime.lock(f"sync:{name}") as free:
			if free and in_transaction(runtime.db, lambda name=name: _close_silent(runtime, name)):
				closed.append(name)
	return closed


def _close_silent(runtime: Runtime, name: str) -> int:
	rows = stream_rows(runtime.db, "*", "`name` = %s", name)
	closed = close_abandoned(runtime, name)
	if not rows or not closed:
		return len(closed)
	if rows[0]["mode"] in closed:  # not a backfill or an approval beside it
		failures = rows[0]["consecutive_failures"] + 1
		state = {"last_status": "Interrupted", "consecutive_failures": failures}
		if rows[0]["schedule"] != "Off":
			state["next_run_at"] = _after_silence(runtime, rows[0], failures)
		update(runtime.db, "Sync Settings", name, state)
	restate(runtime, name)
	return len(closed)


def _after_silence(runtime: Runtime, row: Row, failures: int) -> str | None:
	if failures == 1:
		return runtime.now()
	try:
		return soon(StreamConfig.from_row(row, ()), runtime.now(), failures)
	except ValueError:
		return runtime.now()  # what is wrong with its settings is said when it begins


def enqueue_due_streams(runtime: Runtime) -> list[str]:
	"""Hand the due streams to workers; return their names."""
	close_silent_runs(runtime)
	names = due_streams(runtime)
	for name in names:
		with isolated(runtime, operation="Sync", stream=name):
			runtime.enqueue_sync(name, "Schedule")
	return names
