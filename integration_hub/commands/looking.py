"""The commands of an operator who looks: `status`."""

from __future__ import annotations

import click

from integration_hub.commands.base import opened, report_errors, say
from integration_hub.commands.group import integration_hub


@integration_hub.command()
@click.pass_context
@report_errors
def status(ctx: click.Context) -> None:
	"""Show streams, the inbox and open errors."""
	from integration_hub.runtime.status import lines

	with opened(ctx) as runtime:
		for line in lines(runtime):
			say(line)
