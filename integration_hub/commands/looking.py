"""The commands of an operator who looks: `status`."""

from __future__ import annotations

import click

from integration_hub.commands.base import opened, say, told
from integration_hub.commands.group import integration_hub


@integration_hub.command()
@click.pass_context
@told
def status(ctx: click.Context) -> None:
	"""Show streams, the inbox and open errors."""
	from integration_hub.homes.status import lines

	with opened(ctx) as home:
		for line in lines(home):
			say(line)
