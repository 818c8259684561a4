"""When a stream is due."""

from __future__ import annotations

from datetime import datetime, timedelta

from integration_hub.connectors.ranges import RANGES
from integration_hub.stores.clock import slack
from integration_hub.stores.database import Row, in_transaction, update
from integration_hub.stores.facts import restate
from integration_hub.stores.home import Home
from integration_hub.stores.runs import close_abandoned, silent_streams
from integration_hub.stores.settings import stream_rows
from integration_hub.sync.config import DEFAULT_MINUTES, StreamConfig
from integration_hub.sync.cron import turns
from integration_hub.sync.faults import kept_apart, note_clock

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
		due = turns(stream.cron, moment, stretch)[-1:]
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


def due_streams(home: Home) -> list[str]:
	"""Return the names of the streams that are due now, those whose last run was short first."""
	mend_times(home)
	where = """`enabled` = 1
		AND (`wanted` = 1 OR `next_run_at` <= %s OR (`schedule` <> 'Off' AND `next_run_at` IS NULL))
		AND `integration` IN (SELECT `name` FROM `tabIntegration Settings` WHERE `enabled` = 1)"""
	rows = stream_rows(home.db, "`name`, `mode`, `last_duration`", where, home.now())
	# Before its first run, a stream of short intervals is taken for a small one.
	rows.sort(key=lambda row: (row["last_duration"] or 0, _default_minutes(row["mode"])))
	return [row["name"] for row in rows]


def mend_times(home: Home) -> list[str]:
	"""Make streams due that a clock which was ahead has put off, and say so; return their names."""
	soon, later = home.now(ahead=slack(home)), home.now(ahead=_LONGEST_PAUSE)
	where = (
		"`enabled` = 1 AND COALESCE(`status`, '') <> 'Running' AND (`last_run_at` > %s OR `next_run_at` > %s)"
	)
	mended = []
	for row in stream_rows(home.db, "*", where, soon, later):
		with kept_apart(home, operation="Sync", stream=row["name"]):
			if str(row["last_run_at"] or "") > soon or str(row["next_run_at"]) > _latest(home, row, later):
				_mend(home, row)
				mended.append(row["name"])
	return mended


def _latest(home: Home, row: Row, later: str) -> str:
	"""Return when a stream is due at the latest, however often it has failed, or whatever pause its source has asked for."""
	try:
		return max(later, next_run(StreamConfig.from_row(row, ()), home.now(), 99) or "")
	except ValueError:
		return later


def _mend(home: Home, row: Row) -> None:
	now = home.now()
	said = f"A clock was ahead: it ran last at {row['last_run_at']}, and was due next at {row['next_run_at']}. It is due now."
	state = {
		"next_run_at": now if row["next_run_at"] else None,
		"last_run_at": min(str(row["last_run_at"] or now), now),
	}
	in_transaction(home.db, lambda: update(home.db, "Sync Settings", row["name"], state))
	note_clock(home, row["integration"] or "", said, row["name"])


def want(home: Home, stream: str) -> None:
	"""Have a stream run soon, within the current transaction: even if it is running now."""
	update(home.db, "Sync Settings", stream, {"wanted": 1})


def switch_on(home: Home, stream: str) -> None:
	"""Let a stream run on its schedule, within the current transaction: a new one is off while it is being set up."""
	update(home.db, "Sync Settings", stream, {"enabled": 1})


def put_off(home: Home, name: str) -> None:
	"""Let a stream that cannot begin wait for its next turn; a day, where its settings cannot even be read."""
	for row in stream_rows(home.db, "*", "`name` = %s", name):
		try:
			due = next_run(StreamConfig.from_row(row, ()), home.now())
		except ValueError:
			due = home.now(ahead=_ONCE_A_DAY.total_seconds())
		update(home.db, "Sync Settings", name, {"next_run_at": due, "wanted": 0})


def close_silent_runs(home: Home) -> list[str]:
	"""Close the runs whose process is gone, and let their streams go on; return those streams.

	A run is silent while a page takes long, too: only when nobody holds the stream's lock is it taken for dead.
	The first time its stream is due at once; one that kills its workers again is so later each time.
	"""
	closed = []
	for name in silent_streams(home, SILENT_SECONDS):
		with kept_apart(home, operation="Sync", stream=name), home.lock(f"sync:{name}") as free:
			if free and in_transaction(home.db, lambda name=name: _close_silent(home, name)):
				closed.append(name)
	return closed


def _close_silent(home: Home, name: str) -> int:
	rows = stream_rows(home.db, "*", "`name` = %s", name)
	closed = close_abandoned(home, name)
	if not rows or not closed:
		return len(closed)
	if rows[0]["mode"] in closed:  # not a backfill or an approval beside it
		failures = rows[0]["consecutive_failures"] + 1
		state = {"last_status": "Interrupted", "consecutive_failures": failures}
		if rows[0]["schedule"] != "Off":
			state["next_run_at"] = _after_silence(home, rows[0], failures)
		update(home.db, "Sync Settings", name, state)
	restate(home, name)
	return len(closed)


def _after_silence(home: Home, row: Row, failures: int) -> str | None:
	if failures == 1:
		return home.now()
	try:
		return soon(StreamConfig.from_row(row, ()), home.now(), failures)
	except ValueError:
		return home.now()  # what is wrong with its settings is said when it begins


def enqueue_due_streams(home: Home) -> list[str]:
	"""Hand the due streams to workers; return their names."""
	close_silent_runs(home)
	names = due_streams(home)
	for name in names:
		with kept_apart(home, operation="Sync", stream=name):
			home.enqueue_sync(name, "Schedule")
	return names
