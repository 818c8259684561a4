"""The commands of the first hour: `init`, `sandbox`, `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from integration_hub.commands.base import opened, report_errors, say, site_of
from integration_hub.commands.group import integration_hub


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
		from integration_hub.runtime.frappe.load_hub_toml import load_into_site

		with opened(ctx) as runtime:
			for line in load_into_site(runtime, source, url):
				say(line)
		return
	from integration_hub.runtime.standalone.create import create

	for line in create(Path(ctx.meta["hub_config"]), url):
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
