"""What each command needs: its runtime, its lines of text, and what a person has to put right as one line."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click

from integration_hub.connectors.errors import ConnectorError
from integration_hub.stores.runtime import HubError
from integration_hub.terminal_text import plain


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


def runtime_opener(ctx: click.Context) -> Callable[[], Any]:
	"""Return what opens the command's runtime, as a context manager, in any thread or process."""
	site, config = site_of(ctx), ctx.meta["hub_config"]
	if site:
		from integration_hub.runtime.frappe import FrappeRuntime

		return lambda: FrappeRuntime.opened(site)
	from integration_hub.runtime.standalone import StandaloneRuntime

	folder = str(Path(config).resolve().parent)
	if folder not in sys.path:
		sys.path.append(folder)  # where the functions are that hub.toml names
	if ctx.info_name != "status":  # which says so itself
		say_exposed(Path(config))
	return lambda: StandaloneRuntime(config)


def opened(ctx: click.Context) -> AbstractContextManager[Any]:
	"""Open the command's runtime for a block."""
	return runtime_opener(ctx)()


def say_exposed(config: Path) -> None:
	"""Say on stderr which files of the runtime are open to others."""
	from integration_hub.runtime.standalone import file_permissions
	from integration_hub.runtime.standalone.hub_toml import load

	try:
		found = [*file_permissions.warnings(load(config))]
	except HubError:  # the command says what is wrong
		return
	for line in found:
		say(line, err=True)


def report_errors(command: Callable) -> Callable:
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
	"""Give an event that SIGTERM and SIGINT set: what is in progress is finished."""
	stop = threading.Event()
	previous = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGTERM, signal.SIGINT)}
	try:
		yield stop
	finally:
		for number, handler in previous.items():
			signal.signal(number, handler)


def say_pauses(runtime: Any) -> None:
	"""Say on stderr what is waited for, and, on a terminal, how far a run is."""

	def on_pause(text: str) -> None:
		click.echo(f"{line_begins()}{plain(text)}", err=True)

	def watch(run: Any) -> None:
		if run.waiting:
			on_pause(f"{run.stream}: {run.waiting}")
		elif begins := line_begins():
			click.echo(begins + plain(f"{run.stream}: {run.counts.fetched} fetched"), nl=False, err=True)

	runtime.on_pause, runtime.watcher = on_pause, watch


def line_begins() -> str:
	"""Return what takes away the counts that stand on a terminal's line, "" where stderr is none."""
	return "\r\x1b[K" if sys.stderr.isatty() else ""
