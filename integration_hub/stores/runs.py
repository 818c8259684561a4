"""Sync Log: one row a run. The row is also the run's licence to write."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from integration_hub.stores.bindings import greatest_number
from integration_hub.stores.clock import slack
from integration_hub.stores.database import Database, insert, update
from integration_hub.stores.ids import new_id
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.seen_marks import Mark

DOCTYPE = "Sync Log"


class Superseded(Exception):
	"""Another run of the stream has taken over and closed this one: nothing of it may commit any more."""


@dataclass
class Counts:
	"""Counts of a run: pages and records by outcome, and the bytes that were read."""

	pages: int = 0
	fetched: int = 0
	created: int = 0
	updated: int = 0
	unchanged: int = 0
	deleted: int = 0
	failed: int = 0
	to_delete: int = 0
	bytes: int = 0

	def add(self, other: Counts) -> None:
		"""Add the counts of another part of the run."""
		for name, value in asdict(other).items():
			setattr(self, name, getattr(self, name) + value)


@dataclass
class Run:
	"""A running sync."""

	name: str
	mark: Mark  # what its records are marked with: its own, or that of the run whose fetch it goes on with
	stream: str
	integration: str
	mode: str
	checkpoint: str = ""
	own_turn: bool = True  # is it the stream's own run, or one beside it: a backfill, an approval?
	arrived: bool = False  # did the fetch run to its end?
	retried: int = 0  # records that earlier runs could not write, and this one could not either
	unidentified: int = 0  # records without a readable id: what they stand for cannot count as seen
	error_log: str | None = None
	status: str = "Running"
	note: str = ""  # what a person should know of a run that did not fail
	waiting: str = ""  # what failed and is tried again, while people see that
	counts: Counts = field(default_factory=Counts)
	started: float = field(default_factory=time.monotonic)

	@property
	def duration(self) -> float:
		"""Return for how many seconds the run has been going."""
		return round(time.monotonic() - self.started, 3)


def open_run(runtime: Runtime, stream: Any, triggered_by: str) -> Run:
	"""Insert a running Sync Log row (within the current transaction)."""
	mark = new_mark(runtime.db, stream.name)
	run = Run(mark.by, mark, stream.name, stream.integration, stream.mode, stream.checkpoint)
	now, owner = runtime.now(), runtime.owner()
	row = {
		"name": run.name,
		"creation": now,
		"modified": now,
		"owner": owner,
		"modified_by": owner,
		"stream": run.stream,
		"integration": run.integration,
		"mode": run.mode,
		"triggered_by": f"{triggered_by} ({socket.gethostname()}, process {os.getpid()})"[:140],
		"status": "Running",
		"started_at": now,
		"heartbeat_at": now,
		"checkpoint_before": stream.checkpoint,
	}
	insert(runtime.db, DOCTYPE, row)
	return run


def new_mark(db: Database, stream: str) -> Mark:
	"""Return the mark of a run that begins, within the current transaction: its number is greater than any before."""
	sql = "UPDATE `tabSync Settings` SET `run_number` = COALESCE(`run_number`, 0) + 1 WHERE `name` = %s"
	db.execute(sql, [stream])
	number = last_number(db, stream)
	if number == 1 and (
		seen := greatest_number(db, stream)
	):  # the settings are new, and the bindings are not
		number += seen
		update(db, "Sync Settings", stream, {"run_number": number})
	return Mark(new_id(), number)


def last_number(db: Database, stream: str) -> int:
	"""Return the number of the last run of a stream that has begun, 0 if none has."""
	rows = db.query("SELECT `run_number` FROM `tabSync Settings` WHERE `name` = %s", [stream])
	return (rows[0]["run_number"] or 0) if rows else 0


def advance(runtime: Runtime, run: Run, added: Counts, checkpoint: str | None = None, pages: int = 1) -> None:
	"""Add a page's counts and beat, in the page's transaction; store the checkpoint if one is given.

	Raises Superseded if the run was closed by another: its page must not commit. The time always changes, so
	the row count tells match from no match on every database.
	"""
	total = Counts(**asdict(run.counts))
	total.add(added)
	values = {
		**asdict(total),
		"pages": run.counts.pages + pages,
		"heartbeat_at": runtime.now(),
		"modified": runtime.now(),
	}
	if not update(runtime.db, DOCTYPE, run.name, values, where="`status` = 'Running'"):
		raise Superseded(f"Run {run.name} of {run.stream} was closed by another run.")
	if checkpoint is not None:
		# Only where this run left it: a person who has reset it, or changed the source, meanwhile decides.
		update(
			runtime.db,
			"Sync Settings",
			run.stream,
			{"checkpoint": checkpoint},
			where="COALESCE(`checkpoint`, '') = %(_before)s",
			_before=run.checkpoint,
		)


def close_run(runtime: Runtime, run: Run, status: str, **values: Any) -> bool:
	"""Write the end of a run, unless another has closed it; tell whether it did."""
	checkpoint = runtime.db.query(
		"SELECT `checkpoint` FROM `tabSync Settings` WHERE `name` = %s", [run.stream]
	)
	end = {
		"status": status,
		"finished_at": runtime.now(),
		"modified": runtime.now(),
		"duration": run.duration,
		"outcome": outcome(run, status),
		"checkpoint_after": checkpoint[0]["checkpoint"] if checkpoint else None,
		**values,
	}
	return bool(update(runtime.db, DOCTYPE, run.name, end, where="`status` = 'Running'"))


_TOLD = ("created", "updated", "deleted", "failed")


def outcome(run: Run, status: str) -> str:
	"""Return what a run has done, in the words that a list shows: "3 updated, 2 failed"; "" for a failure with no record.

	The faces translate it count by count.
	"""
	counts = {name: getattr(run.counts, name) for name in _TOLD}
	said = [f"{count} {name}" for name, count in counts.items() if count]
	if run.counts.to_delete:
		said.append(f"{run.counts.to_delete} to delete")
	if not said and status in ("Completed", "Partial"):
		return f"{run.counts.unchanged} unchanged" if run.counts.unchanged else "nothing new"
	return ", ".join(said)


def silent_streams(runtime: Runtime, seconds: float) -> list[str]:
	"""Return the streams with a run that gave no sign of life for `seconds`."""
	# A sign of life from a time to come was given by a clock that was ahead: it says nothing.
	sql = f"""SELECT DISTINCT `stream` FROM `tab{DOCTYPE}` WHERE `status` = 'Running'
		AND (`heartbeat_at` < %s OR `heartbeat_at` > %s)"""
	times = [runtime.now(ahead=-seconds), runtime.now(ahead=seconds + slack(runtime))]
	return [row["stream"] for row in runtime.db.query(sql, times)]


def running_modes(runtime: Runtime, stream: str) -> set[str]:
	"""Return what the runs of a stream that are open are: its mode, or what goes on beside it."""
	sql = f"SELECT `mode` FROM `tab{DOCTYPE}` WHERE `status` = 'Running' AND `stream` = %s"
	return {row["mode"] for row in runtime.db.query(sql, [stream])}


def close_abandoned(runtime: Runtime, stream: str) -> set[str]:
	"""Close runs whose process is gone. Only for the holder of the stream's lock; return their modes."""
	modes = running_modes(runtime, stream)
	if modes:
		_close_abandoned(runtime, stream)
	return modes


def _close_abandoned(runtime: Runtime, stream: str) -> None:
	runtime.db.execute(
		f"""UPDATE `tab{DOCTYPE}` SET `status` = 'Interrupted', `finished_at` = %s, `modified` = %s,
			`error` = 'The process that ran it is gone. The next run resumes at the checkpoint.'
			WHERE `stream` = %s AND `status` = 'Running'""",
		[runtime.now(), runtime.now(), stream],
	)
