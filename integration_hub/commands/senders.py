"""The command that shows which senders of webhooks are known, and what each needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from integration_hub.commands.base import NUMBER, one_of, opened, report_errors, say
from integration_hub.commands.group import integration_hub

if TYPE_CHECKING:
	from integration_hub.webhooks.presets import Preset


@integration_hub.command()
@click.argument("name", required=False)
@report_errors
def senders(name: str | None) -> None:
	"""List the senders of webhooks that Signature Scheme (webhook_scheme) offers, or say what one of them needs.

	NAME may be a part of a name, in any case.
	"""
	from integration_hub.webhooks.presets import presets

	wanted = (name or "").lower()
	exact = [preset for preset in presets().values() if preset.name.lower() == wanted]
	found = exact or [preset for preset in presets().values() if wanted in preset.name.lower()]
	if not found:
		raise click.ClickException(f"No sender has {name!r} in its name. `senders` lists all of them.")
	for preset in found:
		_describe(preset) if len(found) == 1 else say(f"{preset.name:<24} {preset.group}")


@integration_hub.command("accept")
@click.argument("integration")
@click.option("--minutes", default=15, show_default=True, type=NUMBER, help="For how long.")
@click.option("--forget", is_flag=True, help="Forget the secret that a sender has chosen before.")
@click.pass_context
@report_errors
def accept_secret(ctx: click.Context, integration: str, minutes: int, forget: bool) -> None:
	"""Take the webhook secret that a sender's handshake brings (Asana), for some minutes.

	INTEGRATION is the name that `status` lists. Its webhook secret has to be empty.
	"""
	from integration_hub.webhooks.new_secrets import expect_secret, takes_secret

	with opened(ctx) as runtime:
		one_of("Integration Settings", runtime, integration)
		if not takes_secret(runtime.integration(integration)):
			raise click.ClickException(
				f"The sender of {integration} does not choose the secret: set webhook_secret."
			)
		if forget:
			runtime.secrets(integration).set("webhook_secret", "")
		say(
			f"{integration}: the secret that the sender sends until {expect_secret(runtime, integration, minutes)} is taken."
		)


def _describe(preset: Preset) -> None:
	from integration_hub.webhooks.presets import plain

	say(f"{preset.name} ({preset.group})")
	say(f"  documentation   {preset.documentation}")
	say(f"  address at      {plain(preset.address)}")
	say(f"  webhook secret  {plain(preset.secret)}")
	for field, value in preset.settings.items():
		say(f"  {field:<15} {value}")
	for note in preset.notes:
		say(f"  {plain(note)}")
