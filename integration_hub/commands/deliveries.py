"""The commands of deliveries: changes that go out."""

from __future__ import annotations

import json

import click

from integration_hub.commands.base import NUMBER, indented, one_of, opened, report_errors, say
from integration_hub.commands.group import integration_hub
from integration_hub.stores.runtime import HubError

_STATUSES = ("Pending", "Sending", "Delivered", "Unchanged", "Rejected", "Failed", "Dead", "Conflict")


@integration_hub.command()
@click.option("--stream", default="", help="Only deliveries of this stream.")
@click.option(
	"--status",
	"statuses",
	multiple=True,
	type=click.Choice(_STATUSES, case_sensitive=False),
	help="Only deliveries in this state; may be repeated.",
)
@click.option("--limit", default=20, show_default=True, type=NUMBER, help="Deliveries.")
@click.pass_context
@report_errors
def deliveries(ctx: click.Context, stream: str, statuses: tuple[str, ...], limit: int) -> None:
	"""List the newest deliveries."""
	from integration_hub.runtime.status import table
	from integration_hub.stores import deliveries

	with opened(ctx) as runtime:
		if stream:
			one_of("Sync Settings", runtime, stream)
		rows = deliveries.latest(runtime, stream=stream, statuses=statuses, limit=limit)
		for line in table("DELIVERY  CHANGED  STREAM  DOCUMENT  OPERATION  STATUS  ATTEMPTS  ERROR", rows):
			say(line)


@integration_hub.command()
@click.argument("delivery", nargs=-1)
@click.option("--stream", default="", help="Of this stream; with --failed.")
@click.option("--failed", is_flag=True, help="All that are Failed, Dead or Rejected.")
@click.option("--approve", is_flag=True, help="Make the named deletions that wait for approval.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@click.pass_context
@report_errors
def resend(
	ctx: click.Context, delivery: tuple[str, ...], stream: str, failed: bool, approve: bool, dry_run: bool
) -> None:
	"""Have deliveries sent again: those named, or those that failed. `work`, or a site's workers, send them."""
	from integration_hub.outbound.preview import preview_delivery
	from integration_hub.stores import deliveries

	if bool(delivery) == failed:
		raise click.UsageError("Name deliveries, or choose them by --failed.")
	if approve and failed:
		raise click.UsageError("--approve goes with names.")
	with opened(ctx) as runtime:
		statuses = ("Failed", "Dead", "Rejected")
		names = delivery or deliveries.select(runtime, stream=stream, statuses=statuses)
		known = {row["name"] for row in deliveries.load(runtime, names)} if names else set()
		if missing := next((name for name in names if name not in known), None):
			raise HubError(
				"does not exist; `deliveries` lists the newest", doctype="Delivery Log", name=missing
			)
		for name in names if dry_run else ():
			found = preview_delivery(runtime, name)
			say(f"{name}: {found.does}")
			for line in indented(
				json.dumps(found.request, indent=2, ensure_ascii=False) if found.request else ""
			):
				say(line)
		if not dry_run:
			say(f"{deliveries.requeue(runtime, names, approve)} deliveries queued again.")


@integration_hub.command()
@click.argument("stream")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.pass_context
@report_errors
def send(ctx: click.Context, stream: str, dry_run: bool) -> None:
	"""Have all documents of a stream sent that the system does not have as they are, behind all live changes."""
	from integration_hub.outbound import scan

	with opened(ctx) as runtime:
		one_of("Sync Settings", runtime, stream)
		found = scan.plan(runtime, stream) if dry_run else scan.send_all(runtime, stream)
		verb = "would be" if dry_run else "will be"
		say(f"{stream}: {found.create} {verb} created, {found.update} updated, {found.delete} deleted")
		for why, count in sorted(found.skip.items()):
			say(f"  {count} skipped: {why}")
