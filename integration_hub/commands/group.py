"""The command group of both runtimes."""

from __future__ import annotations

import click

from integration_hub.terminal_text import log_plainly


@click.group("integration-hub")
@click.option(
	"--config",
	default="hub.toml",
	envvar="INTEGRATION_HUB_CONFIG",
	show_default=True,
	help="Settings of the runtime without a bench. Not used with `bench --site`.",
)
@click.pass_context
def integration_hub(ctx: click.Context, config: str) -> None:
	"""Connect external systems: sync, webhooks, queues."""
	ctx.meta["hub_config"] = config
	log_plainly()


def main() -> None:
	"""The `integration-hub` command."""
	integration_hub(prog_name="integration-hub")
