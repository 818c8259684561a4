"""The status of a runtime, as an operator asks for it first, in lines of text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone

from integration_hub.stores import deliveries, outbox
from integration_hub.stores.clock import newest_ahead
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.status_facts import integration_of
from integration_hub.terminal_text import plain

_FRACTION = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d+$")  # of a second: more than a person reads


def lines(runtime: Runtime) -> Iterator[str]:
	"""Return the state of integrations, streams, inbox and errors."""
	shared = "shared through Redis" if runtime.coordination.shared else "of this process only (no Redis)"
	yield from runtime.warnings()
	if ahead := newest_ahead(runtime):
		yield f"A clock was ahead: runs or events are dated up to {_dated(runtime, ahead)}, which is in the future."
	yield f"Locks, tokens and budgets are {shared}. Times are in {runtime.zone}."
	yield ""
	yield from _integrations(runtime)
	yield from table(
		"STREAM  STATUS  LAST RUN  NEXT RUN  CHECKPOINT",
		runtime.db.query(
			"""SELECT `name`, CASE WHEN `enabled` = 1 THEN `status` ELSE 'Off' END AS `status`, `last_run_at`,
				`next_run_at`, `checkpoint`
				FROM `tabSync Settings` WHERE `enabled` = 1 OR `last_run_at` IS NULL ORDER BY `name`"""
		),
	)
	yield from table(
		"WAITING FOR APPROVAL  STREAM  DOCUMENTS",
		runtime.db.query(
			"""SELECT `name`, `stream`, `to_delete` FROM `tabSync Log`
				WHERE `status` = 'Needs Approval' ORDER BY `name`"""
		),
	)
	yield from table(
		"INBOX  STATUS  EVENTS",
		runtime.db.query(
			"""SELECT `integration`, `status`, COUNT(*) AS `events`
				FROM `tabWebhook Log` GROUP BY `integration`, `status` ORDER BY `integration`, `status`"""
		),
	)
	if sent := deliveries.counts(runtime):
		yield from table("OUTBOX  STATUS  DELIVERIES", sent)
	if waiting := outbox.count(runtime):
		yield f"{waiting} changes wait to be taken up."
	yield "OPEN ERRORS"
	rows = runtime.db.query(
		"""SELECT `integration`, `stream`, `operation`, `kind`, `occurrences`, `last_seen_at`, `message`
			FROM `tabIntegration Error Log` WHERE `status` = 'Open' AND `operation` <> 'Watch' ORDER BY `last_seen_at` DESC LIMIT 20"""
	)
	for row in rows:
		place = " ".join(filter(None, (row["integration"], row["stream"]))) or "(no integration)"
		last = _cell(row["last_seen_at"])
		yield f"{place}: {row['operation']}, {row['kind']}, {row['occurrences']} times, last {last}"
		yield f"  {plain(row['message'])}"
	if not rows:
		yield "(none)"


def _integrations(runtime: Runtime) -> Iterator[str]:
	"""Return each enabled integration with its status, below it why it is no better, and how its queue is read."""
	rows = runtime.db.query("SELECT * FROM `tabIntegration Settings` WHERE `enabled` = 1 ORDER BY `name`")
	found = {row["name"]: integration_of(runtime, row["name"]) for row in rows}
	shown = ("last_success_at", "last_failure_at", "last_error")
	yield from table(
		"INTEGRATION  STATUS  LAST SUCCESS  LAST FAILURE  LAST ERROR",
		[
			{"name": row["name"], "status": found[row["name"]].status, **{k: row[k] for k in shown}}
			for row in rows
		],
	)
	why = [f"{name}: {plain(sentence)}" for name, standing in found.items() for sentence in standing.why]
	yield from (*why, "") if why else ()
	queues = [_queue(row) for row in rows if row["queue_enabled"]]
	if queues:
		yield from table("QUEUE OF  READ  LAST MESSAGE  WAITING  ERROR", queues)


def _queue(row: dict) -> dict:
	depth = row["queue_depth"] if row["queue_read_at"] and row["queue_depth"] >= 0 else ""
	seen = {name: row[name] for name in ("name", "queue_read_at", "queue_message_at")}
	return {**seen, "depth": depth, "error": row["queue_error"]}


def _dated(runtime: Runtime, seconds: float) -> str:
	return runtime.local_time(datetime.fromtimestamp(seconds, timezone.utc))[:19]


def table(head: str, rows: list[dict]) -> Iterator[str]:
	"""Return rows under a head, in columns."""
	cells = [head.split("  "), *([_cell(value) for value in row.values()] for row in rows)]
	widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
	for line in cells:
		yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
	if not rows:
		yield "(none)"
	yield ""


def _cell(value: object) -> str:
	text = "-" if value in (None, "") else plain(str(value).split("\n")[0])
	text = _FRACTION.sub(r"\1", text)
	return text if len(text) <= 60 else text[:59] + "…"
