"""One command group for both homes: `bench --site S integration-hub …` and `integration-hub …`."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from integration_hub.connectors.errors import ConnectorError
from integration_hub.forking import WORKERS, preload
from integration_hub.plain import log_plainly, plain
from integration_hub.stores.home import HubError

pass_context = click.pass_context

_EVENT_STATUSES = ("Queued", "Processing", "Completed", "Failed", "Dead", "Unrouted", "Conflict")


@click.group("integration-hub")
@click.option(
	"--config",
	default="hub.toml",
	envvar="INTEGRATION_HUB_CONFIG",
	show_default=True,
	help="Settings of the home without a bench. Not used with `bench --site`.",
)
@pass_context
def integration_hub(ctx: click.Context, config: str) -> None:
	"""Connect external systems: sync, webhooks, queues."""
	ctx.meta["hub_config"] = config
	log_plainly()


def main() -> None:
	"""The `integration-hub` command."""
	integration_hub(prog_name="integration-hub")


commands = [integration_hub]  # where bench looks

if WORKERS.intersection(sys.argv):  # bench imports this file for each of its commands
	preload()


def say(text: object, err: bool = False) -> None:
	"""Print a line: what it holds of texts from outside moves no cursor, and makes no line of its own."""
	click.echo(plain(text), err=err)


def site_of(ctx: click.Context) -> str | None:
	"""Return the site a command is for, None without a bench; raises UsageError unless it is one."""
	obj = ctx.obj
	sites = obj.get("sites") if isinstance(obj, dict) else getattr(obj, "sites", None)
	if sites is None:
		return None
	if len(sites) != 1:
		raise click.UsageError("Name one site: bench --site SITE integration-hub …")
	return sites[0]


def home_opener(ctx: click.Context) -> Callable[[], Any]:
	"""Return what opens the command's home, as a context manager, in any thread or process."""
	site, config = site_of(ctx), ctx.meta["hub_config"]
	if site:
		from integration_hub.homes.site import SiteHome

		return lambda: SiteHome.opened(site)
	from integration_hub.homes.file import FileHome

	folder = str(Path(config).resolve().parent)
	if folder not in sys.path:
		sys.path.append(folder)  # where the functions are that hub.toml names
	if ctx.info_name != "status":  # which says so itself
		say_exposed(Path(config))
	return lambda: FileHome(config)


def say_exposed(config: Path) -> None:
	"""Say on stderr which files of the home are open to others."""
	from integration_hub.homes.file import exposure
	from integration_hub.homes.file.config import load

	try:
		found = [*exposure.warnings(load(config))]
	except HubError:  # the command says what is wrong
		return
	for line in found:
		say(line, err=True)


def told(command: Callable) -> Callable:
	"""Show what a person has to put right as one line, without a traceback."""

	@wraps(command)
	def wrapper(*args: Any, **options: Any) -> Any:
		try:
			return command(*args, **options)
		except (HubError, ConnectorError) as error:
			raise click.ClickException(plain(error)) from None
		except Exception as error:
			from redis.exceptions import RedisError  # a client that no other command of the bench need load

			if not isinstance(error, RedisError):
				raise
			raise click.ClickException(plain(f"Redis: {error}")) from None

	return wrapper


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
	"""Give an event that SIGTERM and SIGINT set: what is in hand is finished."""
	stop = threading.Event()
	previous = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGTERM, signal.SIGINT)}
	try:
		yield stop
	finally:
		for number, handler in previous.items():
			signal.signal(number, handler)


@integration_hub.command()
@click.option(
	"--from", "source", type=click.Path(path_type=Path), help="On a site: load this hub.toml into it."
)
@click.option(
	"--sandbox", "url", default="http://127.0.0.1:8765", show_default=True, help="URL of the sandbox."
)
@pass_context
@told
def init(ctx: click.Context, source: Path | None, url: str) -> None:
	"""Make a hub.toml for the sandbox and its database; on a site, load a hub.toml into it."""
	if site_of(ctx):
		from integration_hub.homes.site.load import load_into_site

		with home_opener(ctx)() as home:
			for line in load_into_site(home, source, url):
				say(line)
		return
	from integration_hub.homes.file.create import create

	for line in create(Path(ctx.meta["hub_config"]), url):
		say(line)


@integration_hub.command()
@click.argument("streams", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@click.option("--from", "since", help="Fetch what changed since this time instead; keep the checkpoint.")
@click.option("--until", default="", help="The end of that range, included.")
@pass_context
@told
def sync(ctx: click.Context, streams: tuple[str, ...], dry_run: bool, since: str | None, until: str) -> None:
	"""Run streams now, in this process; all enabled ones if none is named. One that cannot begin stops no other."""
	from integration_hub.stores.settings import stream_rows
	from integration_hub.sync.dryrun import dry_run as look
	from integration_hub.sync.modes import Period
	from integration_hub.sync.run import AlreadyRunning, run_stream

	if until and not since:
		raise click.UsageError("--until needs --from.")
	if since and not streams:
		raise click.UsageError("Name the streams to backfill.")
	period = Period.read(since, until) if since else None
	failed, running = [], []
	with home_opener(ctx)() as home:
		say_pauses(home)
		names = streams or [row["name"] for row in stream_rows(home.db, "`name`", "`enabled` = 1")]
		if not names:
			say("There are no enabled streams.")
		for name in names:
			try:
				if dry_run:
					for line in differences(look(home, name, period)):
						say(line)
					continue
				row = run_stream(home, name, "Command line", period)
			except (HubError, ConnectorError) as error:
				if len(names) == 1:
					raise
				(running if isinstance(error, AlreadyRunning) else failed).append(name)
				click.echo(_line_begins(), nl=False, err=True)
				say(str(error), err=True)
				continue
			click.echo(_line_begins(), nl=False, err=True)
			for line in summary(row):
				say(line)
			if row["status"] not in ("Completed", "Needs Approval"):
				failed.append(name)
	if failed or running:
		raise click.ClickException(plain(" ".join(_left(failed, running))))


def _left(failed: list[str], running: list[str]) -> Iterator[str]:
	"""Return what is to be said at the end of the streams that did not come to theirs."""
	if failed:
		yield f"Not completed: {', '.join(failed)}. `status` shows open errors."
	if running:
		yield f"Running already, and not run here: {', '.join(running)}."


def say_pauses(home: Any) -> None:
	"""Say on stderr what is waited for, and, on a terminal, how far a run is."""

	def told(text: str) -> None:
		click.echo(f"{_line_begins()}{plain(text)}", err=True)

	def watch(run: Any) -> None:
		if run.waiting:
			told(f"{run.stream}: {run.waiting}")
		elif begins := _line_begins():
			click.echo(begins + plain(f"{run.stream}: {run.counts.fetched} fetched"), nl=False, err=True)

	home.told, home.watcher = told, watch


def _line_begins() -> str:
	"""Return what takes away the counts that stand on a terminal's line, "" where stderr is none."""
	return "\r\x1b[K" if sys.stderr.isatty() else ""


_COUNTS = ("fetched", "created", "updated", "unchanged", "deleted", "failed")


def differences(result: Any) -> Iterator[str]:
	"""Return what a dry run found, as lines of text."""
	counts = {name: getattr(result.counts, name) for name in _COUNTS}
	said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
	yield f"{result.stream}: would be {said}" if said else f"{result.stream}: there would be nothing to do"
	if result.orphans:
		yield f"  {result.orphans} documents are no longer in the source: they would go"
	for note in result.notes:
		yield f"  {note}"
	for one in result.sample:
		yield f"  {one.action} {one.external_id} {one.name}".rstrip()
		if one.error:
			yield f"    {one.error}"
		for field, (before, after) in one.changes.items():
			yield f"    {field}: {_shown(before)} → {_shown(after)}"
	touched = sum(counts[name] for name in ("created", "updated", "deleted", "failed"))
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
@click.option("--limit", default=5, show_default=True, help="Records.")
@pass_context
@told
def preview(ctx: click.Context, stream: str, limit: int) -> None:
	"""Fetch one page of a stream and show its records, mapped."""
	from integration_hub.sync.dryrun import preview as look

	with home_opener(ctx)() as home:
		say_pauses(home)
		for record in look(home, stream, limit):
			say(f"{record['external_id'] or '(no id)'}{' (deleted)' if record['deleted'] else ''}")
			if record["error"]:
				say(f"  {record['error']}")
			for field, value in record["values"].items():
				say(f"  {field}: {_shown(value)}")


@integration_hub.command()
@click.argument("stream")
@pass_context
@told
def reset(ctx: click.Context, stream: str) -> None:
	"""Forget where a stream stands: its next run begins at the beginning. Nothing is doubled."""
	from integration_hub.stores.database import in_transaction, update
	from integration_hub.sync.run import load_stream

	with home_opener(ctx)() as home:
		before = load_stream(home, stream).checkpoint
		state = {"checkpoint": None, "resume": None}
		in_transaction(home.db, lambda: update(home.db, "Sync Settings", stream, state))
		say(f"{stream}: its checkpoint was {before or 'none'}")


@integration_hub.command()
@click.argument("sync_log")
@pass_context
@told
def approve(ctx: click.Context, sync_log: str) -> None:
	"""Remove the documents that a run held back (status Needs Approval)."""
	from integration_hub.sync.run import approve_deletions

	with home_opener(ctx)() as home:
		say_pauses(home)
		for line in summary(approve_deletions(home, sync_log, "Command line")):
			say(line)


@integration_hub.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8787, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option("--threads", default=4, show_default=True, help="Threads a process.")
@click.option(
	"--connections",
	default=1000,
	show_default=True,
	type=click.IntRange(min=1),
	help="Requests in progress at a time, a process; what comes beyond that is answered 503.",
)
@pass_context
@told
def serve(ctx: click.Context, host: str, port: int, workers: int, threads: int, connections: int) -> None:
	"""Receive webhooks at /webhooks/<integration>."""
	from integration_hub.homes.server import serve as run
	from integration_hub.webhooks.doorway import unready

	def announce() -> None:
		say(f"Receiving at http://{host}:{port}/webhooks/<integration>", err=True)

	with home_opener(ctx)() as home:  # what is wrong with the settings is said now, and not by each request
		for problem in unready(home):
			say(f"Warning: {problem}", err=True)
	if site := site_of(ctx):
		from integration_hub.homes.site.door import application

		make = partial(application, site)
	else:
		from integration_hub.homes.file.door import application

		make = partial(application, str(Path(ctx.meta["hub_config"]).resolve()))
	run(make, host, port, workers, threads, connections, announce)


@integration_hub.command()
@click.option("--once", is_flag=True, help="Do what is due now, then end.")
@pass_context
@told
def work(ctx: click.Context, once: bool) -> None:
	"""Run due streams and handle the inbox, in this process. A site's workers do this by themselves."""
	from integration_hub.homes.worker import Worked, work_once
	from integration_hub.homes.worker import work as run

	def report(done: Worked) -> None:
		say(f"{done.runs} runs, {done.events} events")
		for refusal in done.refused:
			say(f"  {refusal}", err=True)

	with home_opener(ctx)() as home:
		say_pauses(home)
		if once:
			report(work_once(home))
			return
		with until_stopped() as stop:
			run(home, stop, report)


@integration_hub.command()
@click.option("--integration", default="", help="Only events of this integration.")
@click.option(
	"--status",
	"statuses",
	multiple=True,
	type=click.Choice(_EVENT_STATUSES, case_sensitive=False),
	help="Only events in this state; may be repeated.",
)
@click.option("--limit", default=20, show_default=True)
@pass_context
@told
def events(ctx: click.Context, integration: str, statuses: tuple[str, ...], limit: int) -> None:
	"""List the newest events of the inbox."""
	from integration_hub.homes.status import table
	from integration_hub.stores import inbox

	with home_opener(ctx)() as home:
		if integration:
			home.integration(integration)
		rows = inbox.latest(home, integration=integration, statuses=statuses, limit=limit)
		for line in table("EVENT  RECEIVED  INTEGRATION  TYPE  STATUS  ATTEMPTS  ERROR", rows):
			say(line)


@integration_hub.command()
@click.argument("events", nargs=-1)
@click.option("--integration", default="", help="Only events of this integration.")
@click.option("--failed", is_flag=True, help="All that are Failed, Dead or Unrouted.")
@click.option("--since", type=click.DateTime(), help="All received since then (time of the home).")
@click.option("--conflict", is_flag=True, help="Handle the named conflicts, as events of their own.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@pass_context
@told
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
	with home_opener(ctx)() as home:
		time = since.strftime("%Y-%m-%d %H:%M:%S") if since else ""
		statuses = FAILED if failed else ()
		if integration:
			home.integration(integration)  # a name that is mistyped has no events either
		names = events or inbox.select(home, integration=integration, statuses=statuses, since=time)
		if not dry_run:
			count = run(home, names, conflict)
			say(f"{count} events queued again.")
			if left := len(names) - count:
				why = "no conflict" if conflict else "being handled, a conflict"
				say(f"{left} left: {why}, or without their body.")
			return
		if not names:
			say("No events to handle again.")
		for effect in preview(home, names):
			say(f"{effect.event}: {effect.does}")
			for field, (before, after) in effect.changes.items():
				say(f"  {field}: {before!r} → {after!r}")


@integration_hub.command()
@click.argument("integration")
@click.option("--name", default="consumer", show_default=True, help="Unique among consumers of one list.")
@click.option("--once", is_flag=True, help="Take what waits now, then end.")
@pass_context
@told
def consume(ctx: click.Context, integration: str, name: str, once: bool) -> None:
	"""Take messages of an integration's Redis queue into the inbox."""
	from integration_hub.queues.consumer import Consumed, consumer_for
	from integration_hub.queues.running import Running

	def report(done: Consumed) -> None:
		say(f"{done.received} received, {done.duplicate} duplicate, {done.unreadable} unreadable")

	with home_opener(ctx)() as home:
		consumer = consumer_for(home, integration, name, fallback_url=home.external_redis_url())
		if once:
			report(consumer.drain())
			return
		with until_stopped() as stop:
			report(Running(home, integration, name, home.external_redis_url()).run(stop, report))


@integration_hub.command()
@pass_context
@told
def status(ctx: click.Context) -> None:
	"""Show streams, the inbox and open errors."""
	from integration_hub.homes.status import lines

	with home_opener(ctx)() as home:
		for line in lines(home):
			say(line)


@integration_hub.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8765, show_default=True)
@click.option("--customers", default=250, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--token-lifetime", default=3600.0, show_default=True, help="Seconds.")
@click.option("--budget", default=0, show_default=True, help="Requests a period; 0 for no limit.")
@click.option("--period", default=10.0, show_default=True, help="Seconds.")
@click.option("--latency", default=0.0, show_default=True, help="Seconds before each answer.")
@click.option(
	"--fault",
	"faults",
	multiple=True,
	help="kind=chance, e.g. 500=0.1. Kinds: 500 503 reset truncate slow garbage.",
)
def sandbox(faults: tuple[str, ...], **options: Any) -> None:
	"""Run a small external CRM to try things against."""
	from integration_hub.sandbox import Sandbox
	from integration_hub.sandbox.access import API_KEY, CLIENT_ID, CLIENT_SECRET
	from integration_hub.sandbox.sender import SECRET

	try:
		server = Sandbox(**options)
		server.faults.set({kind: float(rate) for kind, _, rate in (fault.partition("=") for fault in faults)})
	except OSError as error:
		place = f"{options['host']}:{options['port']}"
		raise click.ClickException(f"{place}: {error.strerror}; choose another with --port") from None
	except ValueError as error:
		raise click.ClickException(str(error)) from None
	say(f"Sandbox CRM at {server.url}  (Ctrl+C ends it)")
	say(f"  OAuth2: {server.url}/oauth/token, client {CLIENT_ID}, secret {CLIENT_SECRET}")
	say(f"  or header X-API-Key: {API_KEY}.  Webhook secret: {SECRET}")
	say("  GET  /v1/customers/{page,offset,cursor,next,link}, /v1/changes, /_sandbox/{counts,customers}")
	say("  POST /_sandbox/{change,expire,faults,mood,webhooks}")
	try:
		server.serve_forever()
	except KeyboardInterrupt:
		say("Stopped.")


@integration_hub.command()
@click.option("--customers", default=2000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder to keep hub.toml and database in.")
@pass_context
@told
def demo(ctx: click.Context, customers: int, seed: int, keep: Path | None) -> None:
	"""Run everything once against the sandbox and compare, record for record."""
	try:
		from integration_hub.demo import file_stage, run
	except ImportError as error:
		install = "bench pip install rich" if site_of(ctx) else "pip install 'integration_hub[standalone]'"
		raise click.ClickException(f"{error}: {install}") from None
	stage, place = file_stage, "one SQLite file"
	if site := site_of(ctx):
		from integration_hub.homes.site.stage import stage as on_site

		stage, place = on_site(site), f"the site {site}"
	raise SystemExit(0 if run(customers, seed, keep, stage, place) else 1)
