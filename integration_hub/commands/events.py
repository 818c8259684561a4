"""The commands of the inbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from integration_hub.commands.base import NUMBER, indented, one_of, opened, report_errors, say
from integration_hub.commands.group import integration_hub
from integration_hub.stores.runtime import HubError

_STATUSES = ("Queued", "Processing", "Completed", "Failed", "Dead", "Unrouted", "Conflict")
_FACTS = (
	"integration",
	"event_type",
	"event_id",
	"door",
	"received_at",
	"event_time",
	"completed_at",
	"attempts",
	"next_attempt_at",
	"ordering_key",
	"deliveries",
	"unsigned",
	"reference_doctype",
	"reference_name",
	"error_log",
)


@integration_hub.command()
@click.option("--integration", default="", help="Only events of this integration.")
@click.option(
	"--status",
	"statuses",
	multiple=True,
	type=click.Choice(_STATUSES, case_sensitive=False),
	help="Only events in this state; may be repeated.",
)
@click.option("--limit", default=20, show_default=True, type=NUMBER, help="Events.")
@click.pass_context
@report_errors
def events(ctx: click.Context, integration: str, statuses: tuple[str, ...], limit: int) -> None:
	"""List the newest events of the inbox."""
	from integration_hub.runtime.status import table
	from integration_hub.stores import inbox

	with opened(ctx) as runtime:
		if integration:
			one_of("Integration Settings", runtime, integration)
		rows = inbox.latest(runtime, integration=integration, statuses=statuses, limit=limit)
		for line in table("EVENT  RECEIVED  INTEGRATION  TYPE  STATUS  ATTEMPTS  ERROR", rows):
			say(line)


@integration_hub.command()
@click.argument("event")
@click.pass_context
@report_errors
def show(ctx: click.Context, event: str) -> None:
	"""Show an event: its state, headers, payload and attempts, and how a conflict differs from the first of its id.

	EVENT is the name that `events` lists.
	"""
	from integration_hub.stores import inbox
	from integration_hub.webhooks.difference import difference

	with opened(ctx) as runtime:
		rows = inbox.load(runtime, [event])
		if not rows:
			raise HubError("does not exist; `events` lists the newest", doctype=inbox.DOCTYPE, name=event)
		for line in _event(rows[0], *difference(runtime, event)):
			say(line)


def _event(row: dict[str, Any], first: str, differences: list[Any]) -> Iterator[str]:
	from integration_hub.stores.attempts import attempts

	yield f"{row['name']}: {row['status']}"
	for name in _FACTS:
		if row[name] not in (None, "", 0):
			yield f"  {name}: {row[name]}"
	if row["error"]:
		yield f"  error: {row['error']}"
	yield "Headers:"
	yield from indented(_pretty(row["headers"]) or "(none is kept)")
	yield "Payload:"
	yield from indented(_pretty(row["payload"]) or "(no longer kept)")
	yield "Attempts:"
	for one in attempts(row["attempts_log"]):
		made = f", {one.doctype} {one.document}" if one.document else ""
		took = "" if one.seconds is None else f" in {one.seconds:.3f} s"
		yield f"  {one.at}: {one.outcome}{took}{f', {one.route}' if one.route else ''}{made}"
		yield from indented(f"  {one.error}" if one.error else "")
	if not row["attempts_log"]:
		yield "  (none)"
	if first:
		yield f"In conflict with {first}:"
		for one in differences:
			yield f"  {one.path or '(body)'}: {one.first or '–'} → {one.this or '–'}"


def _pretty(text: str | None) -> str:
	"""Return JSON unescaped, a key a line; other text as it is."""
	try:
		return json.dumps(json.loads(text or ""), indent=2, ensure_ascii=False)
	except (ValueError, RecursionError):
		return text or ""


@integration_hub.command()
@click.argument("events", nargs=-1)
@click.option("--integration", default="", help="Only events of this integration.")
@click.option("--failed", is_flag=True, help="All that are Failed, Dead or Unrouted.")
@click.option("--since", type=click.DateTime(), help="All received since then (time of the runtime).")
@click.option("--conflict", is_flag=True, help="Handle the named conflicts, as events of their own.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.pass_context
@report_errors
def replay(
	ctx: click.Context,
	events: tuple[str, ...],
	integration: str,
	failed: bool,
	since: datetime | None,
	conflict: bool,
	dry_run: bool,
) -> None:
	"""Have events handled again: those named, or those the options choose. `work`, or a site's workers, do it."""
	from integration_hub.stores import inbox
	from integration_hub.webhooks.replay import FAILED, preview
	from integration_hub.webhooks.replay import replay as run

	chosen = failed or since is not None
	if bool(events) == chosen:
		raise click.UsageError("Name events, or choose them by --failed or --since.")
	if conflict and (chosen or dry_run):
		raise click.UsageError("--conflict goes with names, and nothing else.")
	with opened(ctx) as runtime:
		time = since.strftime("%Y-%m-%d %H:%M:%S") if since else ""
		statuses = FAILED if failed else ()
		if integration:
			one_of(
				"Integration Settings", runtime, integration
			)  # a name that is mistyped has no events either
		names = events or inbox.select(runtime, integration=integration, statuses=statuses, since=time)
		if not dry_run:
			count = run(runtime, names, conflict)
			say(f"{count} events queued again.")
			if left := len(names) - count:
				why = "no conflict" if conflict else "being handled, a conflict"
				say(f"{left} left: {why}, or without their body.")
			return
		if not names:
			say("No events to handle again.")
		for effect in preview(runtime, names):
			say(f"{effect.event}: {effect.does}")
			for field, (before, after) in effect.changes.items():
				say(f"  {field}: {before!r} → {after!r}")
