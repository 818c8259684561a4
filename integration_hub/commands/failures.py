"""The commands of what went wrong: `failures`, `resolve`, `records`, `retry`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import click

from integration_hub.commands.base import NUMBER, indented, one_of, opened, report_errors, say, say_pauses
from integration_hub.commands.group import integration_hub
from integration_hub.commands.streams import summary, sync

_FACTS = (
	"status",
	"integration",
	"stream",
	"operation",
	"kind",
	"occurrences",
	"first_seen_at",
	"last_seen_at",
)
_LINKS = ("sync_log", "webhook_log", "external_id")


@integration_hub.command()
@click.argument("failure", required=False)
@click.option("--integration", default="", help="Only of this integration.")
@click.option("--stream", default="", help="Only of this stream.")
@click.option("--all", "everything", is_flag=True, help="Those that are resolved as well.")
@click.option("--limit", default=20, show_default=True, type=NUMBER, help="Failures.")
@click.pass_context
@report_errors
def failures(
	ctx: click.Context, failure: str | None, integration: str, stream: str, everything: bool, limit: int
) -> None:
	"""List what has failed and is open; show one with its request, answer and traceback.

	FAILURE is the name in the first column of the list.
	"""
	from integration_hub.runtime.status import table
	from integration_hub.stores import failures as store

	with opened(ctx) as runtime:
		if failure:
			for line in _failure(store.get(runtime, failure)):
				say(line)
			return
		for doctype, name in (("Integration Settings", integration), ("Sync Settings", stream)):
			if name:
				one_of(doctype, runtime, name)
		rows = store.find(
			runtime, integration=integration, stream=stream, status="" if everything else "Open", limit=limit
		)
		head = "FAILURE  STATUS  INTEGRATION  STREAM  OPERATION  KIND  TIMES  LAST SEEN  MESSAGE"
		for line in table(head, rows):
			say(line)


def _failure(row: dict[str, Any]) -> Iterator[str]:
	yield f"{row['name']}: {row['message']}"
	for name in (*_FACTS, *_LINKS):
		if row[name] not in (None, ""):
			yield f"  {name}: {row[name]}"
	if row["request"]:
		yield f"Request: {row['request']}"
		yield f"Answer: HTTP {row['response_status']}" if row["response_status"] else "Answer: none"
		yield from indented(row["response_body"])
	if row["traceback"]:
		yield "Traceback:"
		yield from indented(row["traceback"])


@integration_hub.command()
@click.argument("failures", nargs=-1)
@click.option("--rejected", is_flag=True, help="All that count webhooks which were rejected.")
@click.option("--integration", default="", help="With --rejected: only of this integration.")
@click.option("--reopen", is_flag=True, help="Open the named ones again instead.")
@click.pass_context
@report_errors
def resolve(
	ctx: click.Context, failures: tuple[str, ...], rejected: bool, integration: str, reopen: bool
) -> None:
	"""Close failures: those named, or those of rejected webhooks. One that happens again opens again.

	FAILURES are the names that `failures` lists.
	"""
	from integration_hub.stores import failures as store
	from integration_hub.stores.database import in_transaction

	if bool(failures) == rejected:
		raise click.UsageError("Name failures, or choose those of rejected webhooks by --rejected.")
	if (integration and not rejected) or (reopen and rejected):
		raise click.UsageError("--integration goes with --rejected, and --reopen with names.")
	with opened(ctx) as runtime:
		if integration:
			one_of("Integration Settings", runtime, integration)
		status = "Open" if reopen else "Resolved"
		if rejected:
			count = in_transaction(runtime.db, lambda: store.resolve_rejections(runtime, integration))
		else:
			count = in_transaction(runtime.db, lambda: store.mark(runtime, failures, status))
		say(f"{count} failures are {'open again' if reopen else 'resolved'}.")


@integration_hub.command()
@click.argument("stream")
@click.option("--failed", is_flag=True, help="Only those that could not be written.")
@click.option("--failure", default="", help="Only those that this failure keeps back.")
@click.option("--payload", is_flag=True, help="Show each record as its source sent it, where that is kept.")
@click.option("--limit", default=20, show_default=True, type=NUMBER, help="Records.")
@click.pass_context
@report_errors
def records(ctx: click.Context, stream: str, failed: bool, failure: str, payload: bool, limit: int) -> None:
	"""List the records of a stream: external id, state, document, error; those that failed with their payload."""
	from integration_hub.runtime.status import table
	from integration_hub.stores import bindings
	from integration_hub.stores import failures as store

	with opened(ctx) as runtime:
		one_of("Sync Settings", runtime, stream)
		statuses = bindings.NOT_WRITTEN if failed else ()
		rows = store.records(
			runtime, stream, statuses=statuses, error_log=failure, limit=limit, payload=payload or failed
		)
		if not (payload or failed):
			shown = ("external_id", "status", "attempts", "target_doctype", "target_name", "error")
			head = "RECORD  STATUS  ATTEMPTS  DOCTYPE  DOCUMENT  ERROR"
			for line in table(head, [{name: row[name] for name in shown} for row in rows]):
				say(line)
			return
		for row in rows:
			for line in _record(row):
				say(line)
		if not rows:
			say("(none)")


def _record(row: dict[str, Any]) -> Iterator[str]:
	document = f" {row['target_doctype']} {row['target_name']}" if row["target_name"] else ""
	yield f"{row['external_id'] or '(no id)'}: {row['status']}{document}"
	if row["error"]:
		yield f"  {row['error']}"
	if row["error_log"]:
		yield f"  failure {row['error_log']}, {row['attempts'] or 0} attempts, again at {row['retry_at'] or '–'}"
	yield from indented(row["payload"])


@integration_hub.command()
@click.argument("what", metavar="STREAM|FAILURE")
@click.option("--failure", default="", help="Only the records of the stream that this failure keeps back.")
@click.pass_context
@report_errors
def retry(ctx: click.Context, what: str, failure: str) -> None:
	"""Try again what failed: of a stream, its records that could not be written; of a failure, what it stands for.

	Records are written again as they were kept, those that were given up as well; nothing is fetched. FAILURE is a name
	that `failures` lists: its events are queued again, its records written, or its streams run.
	"""
	with opened(ctx) as runtime:
		say_pauses(runtime)
		if failure or not _is_failure(runtime, what):
			one_of("Sync Settings", runtime, what)
			_retry_records(runtime, what, failure)
			return
		again = _retry_failure(runtime, what)
	if again:
		ctx.invoke(sync, streams=again, dry_run=False, since=None, until="")


def _is_failure(runtime: Any, name: str) -> bool:
	"""Tell whether a name is a failure's, and no stream's."""
	from integration_hub.stores.settings import existing_names

	return not existing_names(runtime.db, "Sync Settings", [name]) and bool(
		existing_names(runtime.db, "Integration Error Log", [name])
	)


def _retry_records(runtime: Any, stream: str, failure: str) -> None:
	from integration_hub.sync.retry_run import retry_records

	for line in summary(retry_records(runtime, stream, "Command line", error_log=failure)):
		say(line)


def _retry_failure(runtime: Any, name: str) -> list[str]:
	"""Try again what a failure stands for, except for runs: return the streams to run."""
	from integration_hub.runtime.failure_retries import Retry, retry_of
	from integration_hub.stores import failures as store
	from integration_hub.webhooks.replay import replay

	failing, is_on = (partial(one, runtime) for one in (_failing, _is_on))
	again = retry_of(runtime, store.get(runtime, name), failing, is_on)
	if again == Retry():
		raise click.ClickException(f"Nothing of {name} can be tried again; `failures {name}` shows it.")
	if again.events:
		say(f"{replay(runtime, again.events)} events queued again.")
	if again.records:
		_retry_records(runtime, again.records, name)
	return list(again.streams)


def _failing(runtime: Any, integration: str) -> list[str]:
	from integration_hub.stores.settings import stream_rows

	where = "`status` = 'Failing' AND `enabled` = 1 AND `integration` = %s"
	return [row["name"] for row in stream_rows(runtime.db, "`name`", where, integration)]


def _is_on(runtime: Any, stream: str) -> bool:
	from integration_hub.stores.settings import stream_rows

	return bool(stream_rows(runtime.db, "`name`", "`enabled` = 1 AND `name` = %s", stream))
