"""The command group of both runtimes."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import click

from integration_hub import __version__
from integration_hub.terminal_text import log_plainly


@click.group("integration-hub")
@click.option(
	"--config",
	default="hub.toml",
	envvar="INTEGRATION_HUB_CONFIG",
	show_default=True,
	help="Settings of the runtime without a bench. Not used with `bench --site`.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error that is not expected.")
@click.version_option(__version__, prog_name="integration-hub", message="%(prog)s %(version)s")
@click.pass_context
def integration_hub(ctx: click.Context, config: str, debug: bool) -> None:
	"""Connect external systems: sync, webhooks, queues."""
	ctx.meta["hub_config"], ctx.meta["hub_debug"] = config, debug
	log_plainly()


def main() -> None:
	"""Run the `integration-hub` command."""
	for stream in (
		sys.stdout,
		sys.stderr,
	):  # a terminal that knows ASCII alone shows the rest as Python writes it
		if isinstance(stream, TextIOWrapper):
			stream.reconfigure(errors="backslashreplace")
	integration_hub(prog_name="integration-hub")
