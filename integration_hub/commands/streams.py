"""The commands of streams and their runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from integration_hub.commands.base import line_begins, one_of, opened, report_errors, say, say_pauses
from integration_hub.commands.group import integration_hub
from integration_hub.connectors.errors import ConnectorError
from integration_hub.stores.runtime import HubError
from integration_hub.terminal_text import plain

_COUNTS = ("fetched", "created", "updated", "unchanged", "deleted", "failed")


@integration_hub.command()
@click.argument("streams", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@click.option("--from", "since", help="Fetch what changed since this time instead; keep the checkpoint.")
@click.option("--until", default="", help="The end of that range, included.")
@click.pass_context
@report_errors
def sync(ctx: click.Context, streams: tuple[str, ...], dry_run: bool, since: str | None, until: str) -> None:
	"""Run streams now, in this process; all that are on if none is named. One that cannot begin stops no other.

	A new stream is off until its first run, which switches it on.
	"""
	from integration_hub.sync.dry_runs import dry_run as look
	from integration_hub.sync.modes import Period
	from integration_hub.sync.run import AlreadyRunning, run_stream

	if until and not since:
		raise click.UsageError("--until needs --from.")
	if since and not streams:
		raise click.UsageError("Name the streams to backfill.")
	period = Period.read(since, until) if since else None
	failed, running, found = [], [], dict.fromkeys(_COUNTS, 0)
	with opened(ctx) as runtime:
		say_pauses(runtime)
		for name in streams:
			one_of("Sync Settings", runtime, name)
		names = streams or _all(runtime)
		if not names:
			say("There are no enabled streams.")
		for name in names:
			try:
				if dry_run:
					result = look(runtime, name, period)
					for line in differences(result):
						say(line)
					for count in _COUNTS:
						found[count] += getattr(result.counts, count)
					continue
				is_new = not period and runtime.is_new(name)
				row = run_stream(runtime, name, "Command line", period)
			except (HubError, ConnectorError) as error:
				if len(names) == 1:
					raise
				(running if isinstance(error, AlreadyRunning) else failed).append(name)
				click.echo(line_begins(), nl=False, err=True)
				say(str(error), err=True)
				continue
			click.echo(line_begins(), nl=False, err=True)
			for line in summary(row):
				say(line)
			if is_new:
				say(f"  {name} is on now, and runs on its schedule.")
			if row["status"] not in ("Completed", "Needs Approval"):
				failed.append(name)
	if dry_run:
		say(
			f"Nothing was written. {len(names)} streams: {_counted(found) or 'there would be nothing to do'}."
		)
	if failed or running:
		raise click.ClickException(plain(" ".join(_left(failed, running))))


def _all(runtime: Any) -> list[str]:
	"""Return the streams that are on; of those in a hub.toml, the new ones as well."""
	from integration_hub.stores.settings import INBOUND, stream_rows

	new = runtime.new_streams() if hasattr(runtime, "new_streams") else []
	on = [row["name"] for row in stream_rows(runtime.db, "`name`", f"`enabled` = 1 AND {INBOUND}")]
	return sorted([*on, *new])


def _counted(counts: dict[str, int]) -> str:
	return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _left(failed: list[str], running: list[str]) -> Iterator[str]:
	"""Return lines about the streams that did not run to their end."""
	if failed:
		yield f"Not completed: {', '.join(failed)}. `status` shows open errors."
	if running:
		yield f"Running already, and not run here: {', '.join(running)}."


def differences(result: Any) -> Iterator[str]:
	"""Return what a dry run found, as lines of text."""
	counts = {name: getattr(result.counts, name) for name in _COUNTS}
	said = _counted(counts)
	yield f"{result.stream}: would be {said}" if said else f"{result.stream}: there would be nothing to do"
	if result.orphans:
		yield f"  {result.orphans} documents are no longer in the source: they would go"
	for note in result.notes:
		yield f"  {note}"
	for one in result.sample:
		yield f"  {one.action} {one.external_id} {one.name}".rstrip()
		if one.error:
			yield f"    {one.error}"
		if one.doubt:
			yield f"    {one.doubt}"
		for field, (before, after) in one.changes.items():
			yield f"    {field}: {_shown(before)} → {_shown(after)}"
	touched = result.orphans + sum(counts[name] for name in ("created", "updated", "deleted", "failed"))
	if len(result.sample) < touched:
		yield f"  … and {touched - len(result.sample)} more"


def _shown(value: Any) -> str:
	text = "–" if value in (None, "") else str(value)
	return text if len(text) <= 60 else f"{text[:59]}…"


def summary(row: dict[str, Any]) -> Iterator[str]:
	"""Return a Sync Log row as lines of text."""
	counts = ", ".join(f"{row[name]} {name}" for name in _COUNTS if row[name])
	counts = counts or ("nothing to do" if row["status"] == "Completed" else "nothing done")
	yield f"{row['stream']}: {row['status']} in {row['duration']:.2f} s ({counts})"
	if row["status"] == "Needs Approval":
		yield f"  {row['to_delete']} documents would go; `approve {row['name']}` removes them"
	if row["error"]:
		yield f"  {row['error']}"


@integration_hub.command()
@click.argument("stream")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 1000), help="Records.")
@click.pass_context
@report_errors
def preview(ctx: click.Context, stream: str, limit: int) -> None:
	"""Fetch one page of a stream and show its records, mapped."""
	from integration_hub.sync.dry_runs import preview as look

	with opened(ctx) as runtime:
		say_pauses(runtime)
		for record in look(runtime, one_of("Sync Settings", runtime, stream), limit):
			say(f"{record['external_id'] or '(no id)'}{' (deleted)' if record['deleted'] else ''}")
			if record["error"]:
				say(f"  {record['error']}")
			for field, value in record["values"].items():
				say(f"  {field}: {_shown(value)}")


@integration_hub.command()
@click.argument("stream")
@click.pass_context
@report_errors
def reset(ctx: click.Context, stream: str) -> None:
	"""Forget where a stream stands: its next run begins at the beginning. Nothing is doubled."""
	from integration_hub.stores.database import in_transaction, update
	from integration_hub.sync.run import load_stream

	with opened(ctx) as runtime:
		before = load_stream(runtime, one_of("Sync Settings", runtime, stream)).checkpoint
		state = {"checkpoint": None, "resume": None}
		in_transaction(runtime.db, lambda: update(runtime.db, "Sync Settings", stream, state))
		say(f"{stream}: its checkpoint was {before or 'none'}")


@integration_hub.command()
@click.argument("sync_log")
@click.pass_context
@report_errors
def approve(ctx: click.Context, sync_log: str) -> None:
	"""Remove the documents that a run held back (status Needs Approval)."""
	from integration_hub.sync.run import approve_deletions

	with opened(ctx) as runtime:
		say_pauses(runtime)
		for line in summary(approve_deletions(runtime, sync_log, "Command line")):
			say(line)


@integration_hub.command()
@click.argument("stream", required=False, default="")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Documents a run.")
@click.option("--ask-again", is_flag=True, help="Ask again about what was kept of this stream.")
@click.pass_context
@report_errors
def deletions(ctx: click.Context, stream: str, limit: int, ask_again: bool) -> None:
	"""List the documents whose removal waits for a person: `approve` or `keep` decides."""
	from integration_hub.sync.held_deletions import held_deletions, waiting_runs
	from integration_hub.sync.run import ask_again as forget
	from integration_hub.sync.run import load_stream

	if ask_again and not stream:
		raise click.UsageError("Name the stream to ask again about.")
	with opened(ctx) as runtime:
		if stream:
			load_stream(runtime, stream)
		if ask_again:
			say(f"{stream}: the next run asks again about {forget(runtime, stream)} documents")
			return
		runs = waiting_runs(runtime, stream)
		for run in runs:
			say(
				f"{run['stream']}: {run['count']} wait; `approve {run['name']}` removes them, `keep` keeps them"
			)
			found = held_deletions(runtime, run["name"], limit)
			for one in found:
				say(f"  {one.fate}: {one.title or one.name or '(no document)'} ({one.external_id})")
			if run["count"] > len(found):
				say(f"  … and {run['count'] - len(found)} more")
		if not runs:
			say("Nothing waits to be removed.")


@integration_hub.command()
@click.argument("sync_log")
@click.pass_context
@report_errors
def keep(ctx: click.Context, sync_log: str) -> None:
	"""Keep the documents that a run held back; they are not asked about again."""
	from integration_hub.sync.run import refuse_deletions

	with opened(ctx) as runtime:
		say(f"{refuse_deletions(runtime, sync_log, 'the command line')} documents are kept")
