"""The commands of the first hour: `init`, `sandbox`, `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from integration_hub.commands.base import opened, report_errors, say, site_of
from integration_hub.commands.group import integration_hub
from integration_hub.terminal_text import plain


def _chances(ctx: click.Context, parameter: click.Parameter, faults: tuple[str, ...]) -> dict[str, float]:
	"""Read `kind=chance`; raises BadParameter."""
	from integration_hub.sandbox.faults import KINDS

	chances = {}
	for fault in faults:
		kind, _, chance = fault.partition("=")
		try:
			chances[kind] = float(chance)
		except ValueError:
			chances[kind] = -1
		if kind not in KINDS or not 0 <= chances[kind] <= 1:
			raise click.BadParameter(
				f"{fault!r}: write kind=chance, from 0 to 1; kinds are {', '.join(KINDS)}"
			)
	return chances


@integration_hub.command()
@click.option(
	"--from", "source", type=click.Path(path_type=Path), help="On a site: load this hub.toml into it."
)
@click.option(
	"--sandbox", "url", default="http://127.0.0.1:8765", show_default=True, help="URL of the sandbox."
)
@click.pass_context
@report_errors
def init(ctx: click.Context, source: Path | None, url: str) -> None:
	"""Make a hub.toml for the sandbox and its database; on a site, load a hub.toml into it."""
	if site_of(ctx):
		from integration_hub.runtime.frappe.import_hub_toml import load_into_site

		with opened(ctx) as runtime:
			for line in load_into_site(runtime, source, url):
				say(line)
		return
	if source:
		raise click.UsageError(
			"--from loads a hub.toml into a site: bench --site SITE integration-hub init --from …"
		)
	from integration_hub.runtime.standalone.create import create

	for line in create(Path(ctx.meta["hub_config"]), url):
		say(line)


@integration_hub.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of this machine to listen at.")
@click.option(
	"--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option(
	"--customers", default=250, show_default=True, type=click.IntRange(0, 1_000_000), help="How many it has."
)
@click.option("--seed", default=1, show_default=True, help="Another number makes other customers.")
@click.option(
	"--token-lifetime",
	default=3600.0,
	show_default=True,
	type=click.FloatRange(0, min_open=True),
	help="Seconds.",
)
@click.option(
	"--budget",
	default=0,
	show_default=True,
	type=click.IntRange(0),
	help="Requests a period; 0 for no limit.",
)
@click.option(
	"--period", default=10.0, show_default=True, type=click.FloatRange(0, min_open=True), help="Seconds."
)
@click.option(
	"--latency",
	default=0.0,
	show_default=True,
	type=click.FloatRange(0, 3600),
	help="Seconds before each answer.",
)
@click.option(
	"--fault",
	"faults",
	multiple=True,
	callback=_chances,
	help="kind=chance, as 500=0.1; may be repeated. Kinds: 500 503 reset truncate slow garbage.",
)
def sandbox(faults: dict[str, float], **options: Any) -> None:
	"""Run a small external CRM to try things against."""
	from integration_hub.sandbox import Sandbox
	from integration_hub.sandbox.access import API_KEY, CLIENT_ID, CLIENT_SECRET
	from integration_hub.sandbox.sender import SECRET

	try:
		server = Sandbox(**options)
	except (OSError, ValueError, TypeError) as error:  # not of the system: what no name of a host can be
		said = getattr(error, "strerror", None) or "not a host's name"
		place = f"{options['host']}:{options['port']}"
		raise click.ClickException(plain(f"{place}: {said}; choose others with --host and --port")) from None
	server.faults.set(faults)
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
@click.option(
	"--customers",
	default=2000,
	show_default=True,
	type=click.IntRange(100, 1_000_000),
	help="How many the CRM has.",
)
@click.option("--seed", default=1, show_default=True, help="Another number makes other customers.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder to keep hub.toml and database in.")
@click.pass_context
@report_errors
def demo(ctx: click.Context, customers: int, seed: int, keep: Path | None) -> None:
	"""Run everything once against the sandbox and compare, record for record."""
	try:
		from integration_hub.demo import run, standalone_site
	except ImportError as error:
		install = "bench pip install rich" if site_of(ctx) else "pip install 'integration_hub[standalone]'"
		raise click.ClickException(f"{error}: {install}") from None
	stage, place = standalone_site, "one SQLite file"
	if site := site_of(ctx):
		from integration_hub.runtime.frappe.demo_site import demo_site as on_site

		stage, place = on_site(site), f"the site {site}"
	raise SystemExit(0 if run(customers, seed, keep, stage, place) else 1)
