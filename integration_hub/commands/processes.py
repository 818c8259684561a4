"""The commands that run on: the receiver, the worker, the consumer of a queue."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from integration_hub.commands.base import (
	one_of,
	opened,
	report_errors,
	say,
	say_pauses,
	site_of,
	until_stopped,
)
from integration_hub.commands.group import integration_hub


@integration_hub.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of this machine to listen at.")
@click.option(
	"--port", default=8787, show_default=True, type=click.IntRange(1, 65535), help="Port to listen at."
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes.")
@click.option(
	"--threads", default=4, show_default=True, type=click.IntRange(1, 1024), help="Threads a process."
)
@click.option(
	"--connections",
	default=1000,
	show_default=True,
	type=click.IntRange(min=1),
	help="Requests in progress at a time, a process; what comes beyond that is answered 503.",
)
@click.pass_context
@report_errors
def serve(ctx: click.Context, host: str, port: int, workers: int, threads: int, connections: int) -> None:
	"""Receive webhooks at /webhooks/<integration>."""
	from integration_hub.runtime.server import serve as run
	from integration_hub.webhooks.endpoint import unready

	def announce() -> None:
		say(f"Receiving at http://{host}:{port}/webhooks/<integration>", err=True)

	with opened(ctx) as runtime:  # what is wrong with the settings is said now, and not by each request
		for problem in unready(runtime):
			say(f"Warning: {problem}", err=True)
	if site := site_of(ctx):
		from integration_hub.runtime.frappe.receiver import application

		make = partial(application, site)
	else:
		from integration_hub.runtime.standalone.receiver import application

		make = partial(application, str(Path(ctx.meta["hub_config"]).resolve()))
	run(make, host, port, workers, threads, connections, announce)


@integration_hub.command()
@click.option("--once", is_flag=True, help="Do what is due now, then end.")
@click.pass_context
@report_errors
def work(ctx: click.Context, once: bool) -> None:
	"""Run due streams and handle the inbox, in this process. A site's workers do this by themselves."""
	from integration_hub.runtime.worker import Worked, work_once
	from integration_hub.runtime.worker import work as run

	def report(done: Worked) -> None:
		failed = f", {done.failed} of them failed: `failures` says why" if done.failed else ""
		sent = f", {done.sent} deliveries" if done.sent else ""
		say(f"{done.runs} runs, {done.events} events{sent}{failed}")
		for refusal in done.refused:
			say(f"  {refusal}", err=True)

	with opened(ctx) as runtime:
		say_pauses(runtime)
		for warning in runtime.warnings():
			say(warning, err=True)
		if once:
			report(work_once(runtime))
			return
		say("Working: due streams and the inbox, until stopped (Ctrl+C).", err=True)
		with until_stopped() as stop:
			run(runtime, stop, report)


@integration_hub.command()
@click.argument("integration")
@click.option("--name", default="consumer", show_default=True, help="Unique among consumers of one list.")
@click.option("--once", is_flag=True, help="Take what waits now, then end.")
@click.pass_context
@report_errors
def consume(ctx: click.Context, integration: str, name: str, once: bool) -> None:
	"""Take messages of an integration's Redis queue into the inbox."""
	from integration_hub.queues.consumer import Consumed, consumer_for
	from integration_hub.queues.consumer_loop import ConsumerLoop

	def report(done: Consumed) -> None:
		say(f"{done.received} received, {done.duplicate} duplicate, {done.unreadable} unreadable")

	with opened(ctx) as runtime:
		consumer = consumer_for(
			runtime,
			one_of("Integration Settings", runtime, integration),
			name,
			fallback_url=runtime.external_redis_url(),
		)
		if once:
			report(consumer.drain())
			return
		with until_stopped() as stop:
			report(ConsumerLoop(runtime, integration, name, runtime.external_redis_url()).run(stop, report))
