"""The commands of the inbox."""

from __future__ import annotations

from datetime import datetime

import click

from integration_hub.commands.base import one_of, opened, report_errors, say
from integration_hub.commands.group import integration_hub

_STATUSES = ("Queued", "Processing", "Completed", "Failed", "Dead", "Unrouted", "Conflict")


@integration_hub.command()
@click.option("--integration", default="", help="Only events of this integration.")
@click.option(
	"--status",
	"statuses",
	multiple=True,
	type=click.Choice(_STATUSES, case_sensitive=False),
	help="Only events in this state; may be repeated.",
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Events.")
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
