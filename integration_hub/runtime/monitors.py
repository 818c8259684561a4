"""Monitors: problems that no single failure shows, each told once to a person who is not looking.

A problem is a row of the Integration Error Log, of the operation Watch. As long as it is open, it was told;
when it is over, it is resolved by itself. A person who resolves it hears of it again only when it is another one:
its message names the time by which one is told from the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain

from integration_hub.connectors.redact import Redactor
from integration_hub.outbound.dispatch import MAX_ATTEMPTS
from integration_hub.runtime.freshness import Arrivals, silent_since
from integration_hub.stores import inbox
from integration_hub.stores.clock import newest_ahead
from integration_hub.stores.database import Row, in_transaction, update
from integration_hub.stores.error_log import DOCTYPE, TOLD_OF, record_error
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import stream_rows
from integration_hub.stores.work_table import OUTBOX
from integration_hub.sync.fault_isolation import isolated

OPERATION = TOLD_OF
_CHORE = "Look for Problems"
FAILING, DEAD, SILENCE, TOKEN = "Stream Failing", "Dead Events", "Silence", "Token Expiring"
CLOCK, STUCK = "Clock Ahead", "Deliveries Failing"
TOKEN_SECONDS = 3 * 86_400.0  # how long before its end a token is spoken of
_BROUGHT = "`created` + `updated` + `deleted` > 0"


@dataclass(frozen=True)
class Problem:
	"""One problem of an integration, or of one of its streams. `message` tells it from the one before."""

	kind: str
	integration: str
	message: str
	stream: str = ""
	webhook_log: str = ""
	detail: str = ""  # how many, and why: it may change while the problem is the same

	@property
	def place(self) -> tuple[str, str, str]:
		"""Return what the problem is of: its kind, integration and stream."""
		return self.kind, self.integration, self.stream


class _ProblemFound(Exception):
	"""A problem as the error log takes it."""

	def __init__(self, problem: Problem) -> None:
		self.kind = problem.kind
		super().__init__(f"{problem.message} {problem.detail}".strip())


def check_problems(
	runtime: Runtime, more: Iterable[Problem] = (), notify: Callable[[str], None] = lambda name: None
) -> list[str]:
	"""Write down the problems there are now, and `more` that the runtime knows of; return the rows of the new ones.

	notify: is given each new row, in the transaction that writes it down. A process that dies before the end of it
	has not told: the next look tells again.
	"""
	found, unseen = _found(runtime, more)
	known = in_transaction(runtime.db, lambda: _known(runtime, found, unseen))
	names: list[str] = []
	for problem in found:
		if not _is_new(problem, known.get(problem.place)):
			continue
		with isolated(runtime, operation=_CHORE, integration=problem.integration, stream=problem.stream):
			if name := in_transaction(runtime.db, lambda problem=problem: _notify(runtime, problem, notify)):
				names.append(name)
	return names


def _found(runtime: Runtime, more: Iterable[Problem]) -> tuple[list[Problem], set[str]]:
	"""Return the problems there are now, and the kinds of which that could not be found out."""
	found: list[Problem] = []
	unseen: set[str] = set()
	for kind, look_for in {**_KINDS, TOKEN: lambda runtime: more}.items():
		with isolated(runtime, operation=_CHORE) as kept:
			found += look_for(runtime)
		if kept.error:
			unseen.add(kind)
	return found, unseen


def _known(runtime: Runtime, found: list[Problem], unseen: set[str]) -> dict[tuple[str, str, str], Row]:
	"""Return what was told before, by place; what is over is resolved, and nothing of a kind that was not seen."""
	sql = f"""SELECT `name`, `kind`, `integration`, `stream`, `status`, `message` FROM `tab{DOCTYPE}`
		WHERE `operation` = %s ORDER BY `last_seen_at`"""
	known = {_place(row): row for row in runtime.db.query(sql, [OPERATION])}
	places = {problem.place for problem in found}
	for place, row in known.items():
		if row["status"] == "Open" and place not in places and row["kind"] not in unseen:
			update(runtime.db, DOCTYPE, row["name"], {"status": "Resolved", "modified": runtime.now()})
	return known


def _is_new(problem: Problem, row: Row | None) -> bool:
	return not row or (row["status"] != "Open" and not row["message"].startswith(problem.message))


def _place(row: Row) -> tuple[str, str, str]:
	return row["kind"], row["integration"] or "", row["stream"] or ""


def _notify(runtime: Runtime, problem: Problem, notify: Callable[[str], None]) -> str | None:
	name = record_error(
		runtime,
		_ProblemFound(problem),
		operation=OPERATION,
		integration=problem.integration,
		redactor=Redactor(),
		stream=problem.stream,
		webhook_log=problem.webhook_log,
	)
	if name:
		notify(name)
	return name


def failing_streams(runtime: Runtime) -> Iterator[Problem]:
	"""Streams that have failed as many times in a row as their settings say."""
	columns = "`name`, `integration`, `last_success_at`, `consecutive_failures`"
	failing = "`enabled` = 1 AND `alert_after` > 0 AND `consecutive_failures` >= `alert_after`"
	for row in stream_rows(runtime.db, columns, failing):
		last = str(row["last_success_at"] or "")[:19]
		message = f"{row['name']} keeps failing; its last success: {last or 'never'}."
		detail = f"Failures in a row: {row['consecutive_failures']}. {_last_error(runtime, row['name'])}"
		yield Problem(FAILING, row["integration"], message, stream=row["name"], detail=detail)


def _last_error(runtime: Runtime, stream: str) -> str:
	"""Return what a stream's last failed run says of its cause, which is redacted already."""
	sql = """SELECT `error` FROM `tabSync Log` WHERE `stream` = %s AND `status` IN ('Failed', 'Interrupted')
		ORDER BY `name` DESC LIMIT 1"""
	rows = runtime.db.query(sql, [stream])
	return f"The last one: {rows[0]['error']}" if rows and rows[0]["error"] else ""


def dead_events(runtime: Runtime) -> Iterator[Problem]:
	"""Enabled integrations with events that were given up."""
	sql = """SELECT `name` AS `integration` FROM `tabIntegration Settings` WHERE `enabled` = 1 AND `name` IN
		(SELECT DISTINCT `integration` FROM `tabWebhook Log` WHERE `status` = 'Dead')"""
	last = """SELECT `name`, `modified`, `error` FROM `tabWebhook Log` WHERE `integration` = %s AND `status` = 'Dead'
		ORDER BY `modified` DESC LIMIT 1"""
	for row in runtime.db.query(sql):
		for event in runtime.db.query(last, [row["integration"]]):
			message = f"Events of {row['integration']} are dead, the latest at {str(event['modified'])[:19]}."
			count = inbox.counts(runtime, row["integration"])["Dead"]
			cause = f" The last one: {event['error']}" if event["error"] else ""
			detail = f"Events that were given up: {count}.{cause}"
			yield Problem(DEAD, row["integration"], message, webhook_log=event["name"], detail=detail)


def stuck_deliveries(runtime: Runtime) -> Iterator[Problem]:
	"""Streams whose deliveries have used half of their attempts, or all: early enough to do something about it."""
	sql = f"""SELECT `stream`, `integration`, COUNT(*) AS `n`, MAX(`attempts`) AS `attempts`,
			SUM(CASE WHEN `status` = 'Dead' THEN 1 ELSE 0 END) AS `dead`
		FROM `tab{OUTBOX.doctype}` WHERE `status` IN ('Failed', 'Dead') AND `attempts` >= {MAX_ATTEMPTS // 2}
		GROUP BY `stream`, `integration`"""
	for row in runtime.db.query(sql):
		message = f"Deliveries of {row['stream']} keep failing."
		detail = f"Deliveries: {row['n']}, of which {int(row['dead'])} are dead, after up to {row['attempts']} attempts."
		yield Problem(STUCK, row["integration"], message, stream=row["stream"], detail=detail)


def silent_integrations(runtime: Runtime) -> Iterator[Problem]:
	"""Integrations from which no event has come for longer than usual."""
	sql = """SELECT `name` FROM `tabIntegration Settings`
		WHERE `enabled` = 1 AND (`webhook_enabled` = 1 OR `queue_enabled` = 1)"""
	for row in runtime.db.query(sql):
		if _has_untold_event(runtime, row["name"]):
			continue
		# Of each state there is an index that ends in the name; most events are completed.
		where = "`integration` = %s AND `status` = 'Completed'"
		yield from _silence(runtime, Arrivals(runtime.db, "Webhook Log", where, [row["name"]]), row["name"])


def _has_untold_event(runtime: Runtime, integration: str) -> bool:
	"""Tell whether events came that are not completed: what is silent then is the handling, not the source."""
	newest = "SELECT MAX(`name`) AS `name` FROM `tabWebhook Log` WHERE `integration` = %s AND `status` = %s"
	last: dict[str, str] = {}
	for status in ("Completed", "Queued", "Processing", "Failed", "Dead", "Unrouted"):
		last[status] = runtime.db.query(newest, [integration, status])[0]["name"] or ""
	completed = last.pop("Completed")
	return any(name > completed for name in last.values())


def silent_streams(runtime: Runtime) -> Iterator[Problem]:
	"""Scheduled streams that run well and have brought nothing for longer than usual."""
	columns, where = "`name`, `integration`", "`enabled` = 1 AND `schedule` <> 'Off' AND `status` = 'OK'"
	for row in stream_rows(runtime.db, columns, where):
		arrivals = Arrivals(runtime.db, "Sync Log", f"`stream` = %s AND {_BROUGHT}", [row["name"]])
		yield from _silence(runtime, arrivals, row["integration"], row["name"])


def _silence(runtime: Runtime, arrivals: Arrivals, integration: str, stream: str = "") -> Iterator[Problem]:
	since = silent_since(arrivals, time.time())
	if since is not None:
		said = local(runtime, since)
		yield Problem(
			SILENCE,
			integration,
			f"Nothing has arrived from {stream or integration} since {said}, which is unusual.",
			stream=stream,
		)


def clock_ahead(runtime: Runtime) -> Iterator[Problem]:
	"""Runs or events that are dated to come: a clock was ahead, or still is elsewhere."""
	if ahead := newest_ahead(runtime):
		yield Problem(
			CLOCK, "", f"Runs or events are dated up to {local(runtime, ahead)}, which is in the future."
		)


# What is wrong with enabled integrations, by kind; what a runtime knows besides is of the kind TOKEN.
_KINDS: dict[str, Callable[[Runtime], Iterator[Problem]]] = {
	FAILING: failing_streams,
	DEAD: dead_events,
	STUCK: stuck_deliveries,
	CLOCK: clock_ahead,
	SILENCE: lambda runtime: chain(silent_integrations(runtime), silent_streams(runtime)),
}


def expiring(runtime: Runtime, integration: str, expires_at: float) -> Iterator[Problem]:
	"""Return a problem if a token that nothing renews has come near its end, or is past it."""
	if expires_at - time.time() < TOKEN_SECONDS:
		message = (
			f"The access token of {integration} ends at {local(runtime, expires_at)}, and nothing renews it."
		)
		yield Problem(TOKEN, integration, message)


def local(runtime: Runtime, seconds: float) -> str:
	"""Return a time since the epoch as the runtime writes times, to the second."""
	return runtime.local_time(datetime.fromtimestamp(seconds, timezone.utc))[:19]
