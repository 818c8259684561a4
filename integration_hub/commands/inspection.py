"""The commands of an operator who looks: `status`, `test`, `runs`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import click

from integration_hub.commands.base import NUMBER, indented, one_of, opened, report_errors, say
from integration_hub.commands.group import integration_hub
from integration_hub.connectors.errors import ConnectorError, RetryLater


@integration_hub.command()
@click.pass_context
@report_errors
def status(ctx: click.Context) -> None:
	"""Show streams, the inbox and open errors."""
	from integration_hub.runtime.status import lines

	with opened(ctx) as runtime:
		for line in lines(runtime):
			say(line)


@integration_hub.command()
@click.argument("integration")
@click.pass_context
@report_errors
def test(ctx: click.Context, integration: str) -> None:
	"""Call an external system once, at its Test Path, and say what it answers: are address and credentials right?

	INTEGRATION is the name that `status` lists.
	"""
	from integration_hub.stores.database import in_transaction
	from integration_hub.stores.settings import note_failure, note_success

	with opened(ctx) as runtime:
		one_of("Integration Settings", runtime, integration)
		began = time.monotonic()
		try:
			address = _called(runtime, integration)
		except RetryLater as error:  # which says nothing of the connection
			raise click.ClickException(f"{error} Nothing was sent.") from None
		except ConnectorError as error:
			message = str(error)
			in_transaction(runtime.db, lambda: note_failure(runtime, integration, message))
			for line in indented(error.body):
				say(line, err=True)
			raise
		in_transaction(runtime.db, lambda: note_success(runtime, integration))
		say(f"{integration}: {address} answered in {time.monotonic() - began:.2f} s.")


def _called(runtime: Any, integration: str) -> str:
	"""Call an external system once; return the URL that answered."""
	with runtime.connector(integration) as connector:
		connector.reset()
		connector.hurry()
		connector.retry = replace(connector.retry, attempts=1)  # a person waits
		path = connector.config.test_path or ""
		connector.get(path)
		return connector.url(path)


@integration_hub.command()
@click.argument("stream", required=False)
@click.option(
	"--failed", is_flag=True, help="Only those that failed, were interrupted, or left records behind."
)
@click.option("--limit", default=20, show_default=True, type=NUMBER, help="Runs.")
@click.pass_context
@report_errors
def runs(ctx: click.Context, stream: str | None, failed: bool, limit: int) -> None:
	"""List the newest runs, of all streams or of one: when, how it ended, and what it did."""
	from integration_hub.runtime.status import table

	where, values = ["1 = 1"], []
	if failed:
		where.append("(`status` IN ('Failed', 'Interrupted') OR `failed` > 0)")
	with opened(ctx) as runtime:
		if stream:
			where.append("`stream` = %s")
			values.append(one_of("Sync Settings", runtime, stream))
		rows = runtime.db.query(
			f"""SELECT `name`, `stream`, `mode`, `started_at`, `status`, `fetched`, `created`, `updated`, `deleted`,
				`failed`, `error` FROM `tabSync Log` WHERE {" AND ".join(where)}
				ORDER BY `started_at` DESC, `name` DESC LIMIT {int(limit)}""",
			values,
		)
		head = "RUN  STREAM  MODE  STARTED  STATUS  FETCHED  CREATED  UPDATED  DELETED  FAILED  ERROR"
		for line in table(head, rows):
			say(line)
