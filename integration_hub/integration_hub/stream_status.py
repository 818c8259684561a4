"""Runs as the form and the list of Sync Settings show them: the current one, the last ones, and what waits."""

from __future__ import annotations

from typing import Any

import frappe
from frappe.utils import get_datetime, now_datetime

from integration_hub.integration_hub import operator_actions, worker_checks
from integration_hub.integration_hub.messages import in_language
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores.bindings import count_held, count_kept
from integration_hub.stores.database import Row
from integration_hub.stores.runtime import HubError
from integration_hub.stores.status_facts import standing_of

LAST_RUNS = 20
MOST_SHOWN = 200  # documents of a list of deletions

_COUNTS = ("fetched", "created", "updated", "unchanged", "deleted", "failed")
_RUN = ("name", "stream", "status", "mode", "started_at", "duration", "pages", *_COUNTS)


def state(stream: str) -> dict[str, Any]:
	"""Return what a form shows beside the settings of a stream.

	{"run": the one that goes on or None, "runs": the last ones, oldest first, "held": [{"name", "to_delete"}],
	"warnings": [text]}
	"""
	runtime = FrappeRuntime()
	going = running([stream])
	return {
		"run": going[0] if going else None,
		"runs": _last_runs(stream),
		"held": [{"name": name, "to_delete": count} for name, count in _held(runtime, stream)],
		"warnings": worker_checks.warnings(),
		"standing": _standing(runtime, stream),
		"kept": count_kept(runtime.db, stream),
	}


def _standing(runtime: FrappeRuntime, stream: str) -> dict[str, Any]:
	"""Return why a stream's status is no better, and the error of its last run."""
	found = standing_of(runtime, stream)
	last = frappe.get_all(
		"Sync Log",
		filters={"stream": stream, "status": ["in", ("Failed", "Partial", "Interrupted", "Postponed")]},
		fields=["name", "error", "status", "started_at"],
		order_by="name desc",
		limit=1,
	)
	why = [in_language(text) for text in found.why]
	return {"status": found.status, "why": why, "last": last[0] if last and why else None}


def running(streams: list[str]) -> list[dict[str, Any]]:
	"""Return the runs of streams that go on now, as the realtime event tells of them.

	seconds: since it began. silent: since it last gave a sign of life. expected: how many records the one before
	it fetched, where it fetches all.
	"""
	rows = frappe.get_all(
		"Sync Log",
		filters={"stream": ["in", streams], "status": "Running"},
		fields=[*_RUN, "heartbeat_at"],
		order_by="name desc",
	)
	found = {row.stream: row for row in reversed(rows)}  # the last one of each
	return [_going(row) for row in found.values()]


def _going(row: Row) -> dict[str, Any]:
	now = now_datetime()
	started, heard = get_datetime(row.started_at), get_datetime(row.heartbeat_at or row.started_at)
	return {
		**{name: row[name] for name in ("stream", "status", "mode", "pages", *_COUNTS)},
		"run": row.name,
		"seconds": max((now - started).total_seconds(), 0),
		"silent": max((now - heard).total_seconds(), 0),
		"expected": _expected(row) if row.mode == "Full" else 0,
	}


def _expected(row: Row) -> int:
	filters = {
		"stream": row.stream,
		"mode": row.mode,
		"status": ["in", ("Completed", "Partial", "Needs Approval")],
	}
	found = frappe.get_all("Sync Log", filters=filters, pluck="fetched", order_by="name desc", limit=1)
	return found[0] if found else 0


def _last_runs(stream: str) -> list[Row]:
	rows = frappe.get_all(
		"Sync Log",
		filters={"stream": stream, "status": ["!=", "Running"]},
		fields=list(_RUN),
		order_by="name desc",
		limit=LAST_RUNS,
	)
	return rows[::-1]


def _held(runtime: FrappeRuntime, stream: str) -> list[tuple[str, int]]:
	filters = {"stream": stream, "status": "Needs Approval"}
	names = frappe.get_all("Sync Log", filters=filters, pluck="name", order_by="name desc")
	counts = [(name, count_held(runtime.db, stream, name)) for name in names]
	return [(name, count) for name, count in counts if count]


def deletions(stream: str) -> dict[str, Any]:
	"""Return what an approval would remove, of the run that waits.

	{"sync_log", "total", "go", "policy", "doctype", "rows": [{"external_id", "target_name", "adopted"}]}; rows: the
	first MOST_SHOWN; go: see operator_actions.held_documents. Raises HubError where nothing waits.
	"""
	waiting = _held(FrappeRuntime(), stream)
	if not waiting:
		raise HubError("has no deletions waiting for approval", doctype="Sync Settings", name=stream)
	sync_log, count = waiting[0]
	held = operator_actions.held_documents(sync_log, size=MOST_SHOWN)
	doctype = frappe.db.get_value("Sync Settings", stream, "target_doctype")
	return {
		"sync_log": sync_log,
		"total": count,
		"go": held["go"],
		"policy": held["policy"],
		"doctype": doctype,
		"rows": held["documents"],
	}
