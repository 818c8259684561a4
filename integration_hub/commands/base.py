"""The base of all commands: their runtime, their lines of text, and errors as one line for a person."""

from __future__ import annotations

import errno
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from integration_hub.connectors.app_code import error_text as told_by
from integration_hub.connectors.errors import ConnectorError
from integration_hub.stores.did_you_mean import near
from integration_hub.stores.runtime import HubError
from integration_hub.terminal_text import plain, plain_traceback

NUMBER = click.IntRange(1, 10_000)  # how many rows a list shows
_LONGEST = 1000  # characters of a sentence that a command ends with
_TOLD = (HubError, ConnectorError, click.ClickException, click.Abort, click.exceptions.Exit)


def say(text: object, err: bool = False) -> None:
	"""Print a line; texts from outside that stand in it can neither move the cursor nor begin a line."""
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
	if ctx.info_name not in ("status", "work"):  # which say so themselves
		say_exposed(Path(config))
	return partial(_standalone, StandaloneRuntime, config)


def _standalone(make: Callable[[str], Any], config: str) -> Any:
	"""Open a runtime on a file; raises HubError naming the database that cannot be read or written."""
	from integration_hub.runtime.standalone.hub_toml import load

	try:
		return make(config)
	except sqlite3.Error as error:
		raise HubError(str(error), name=str(load(Path(config)).database)) from None


@contextmanager
def opened(ctx: click.Context) -> Iterator[Any]:
	"""Open the command's runtime for a block; any failure in it becomes an error of one line, without secrets."""
	with runtime_opener(ctx)() as runtime, _one_line(ctx, runtime.identity, partial(_redacted, runtime)):
		yield runtime


@contextmanager
def _one_line(ctx: click.Context, runtime: str, redacted: Callable[[str], str] = str) -> Iterator[None]:
	"""Have what a block fails with end the command in one line; runtime: what it was to work on."""
	try:
		yield
	except _TOLD:
		raise
	except Exception as error:  # noqa: BLE001 - the boundary of a command, which runs what others have written
		raise _ended(ctx, error, runtime, redacted) from None


def _ended(
	ctx: click.Context, error: Exception, runtime: str, redacted: Callable[[str], str] = str
) -> click.ClickException:
	"""Return the error of one line that a command ends with after any other error; --debug shows the traceback."""
	if getattr(error, "errno", None) == errno.EPIPE:
		raise error  # nobody reads on, which click knows
	if ctx.meta.get("hub_debug"):
		click.echo(redacted(plain_traceback(error)), err=True)
	if isinstance(error, OSError) and error.strerror:
		said = f"{error.filename or runtime} – {error.strerror}"
	elif isinstance(error, sqlite3.Error):
		said = f"{runtime} – {error}"
	elif type(error).__module__.startswith("redis."):  # a client that no other command of the bench need load
		said = f"Redis: {error}"
	else:
		where = f"`integration-hub --debug {ctx.info_name} …` shows where"
		said = f"{type(error).__name__}: {told_by(error)} ({where})"
	return click.ClickException(clipped(plain(redacted(said))))


def _redacted(runtime: Any, text: str) -> str:
	"""Return a text without the secrets of the runtime's integrations."""
	from integration_hub.connectors.secrets import redactor_for

	with suppress(Exception):  # the database may be what has failed
		for row in runtime.db.query("SELECT `name` FROM `tabIntegration Settings`"):
			text = redactor_for(runtime.secrets(row["name"])).text(text)
	return text


def clipped(text: str) -> str:
	"""Return a text short enough for a terminal: its beginning names the place, its end says what is wrong."""
	half = _LONGEST // 2
	return text if len(text) <= _LONGEST else f"{text[:half]} … {text[-half:]}"


def one_of(doctype: str, runtime: Any, name: str) -> str:
	"""Return a name that is there; raises HubError, which says what may have been meant, where it is not."""
	names = [row["name"] for row in runtime.db.query(f"SELECT `name` FROM `tab{doctype}`")]
	if name not in names:
		hint = near(name, names, "there are") or f"; there is no {doctype} yet"
		raise HubError(f"does not exist{hint}", doctype=doctype, name=name)
	return name


def say_exposed(config: Path) -> None:
	"""Say on stderr which files of the runtime are open to others."""
	from integration_hub.runtime.standalone import file_permissions
	from integration_hub.runtime.standalone.hub_toml import load

	try:
		file = load(config)
		found = [*file_permissions.warnings(file)]
	except HubError:  # the command says what is wrong
		return
	if _is_news(file.database.with_suffix(".locks") / "told", "\n".join(found)):
		for line in found:
			say(line, err=True)


def _is_news(mark: Path, text: str) -> bool:
	"""Tell whether a text is another one than was told last, and note it; true where that cannot be noted."""
	from integration_hub.stores.private_files import make_file, make_folder

	try:
		if (mark.read_text() if mark.exists() else "") == text:
			return False
		make_folder(mark.parent)
		mark.unlink(missing_ok=True)
		make_file(mark, text)
	except (OSError, ValueError):  # a folder that cannot be read, or a disk that takes nothing
		return bool(text)
	return bool(text)


def report_errors(command: Callable) -> Callable:
	"""Show what a person has to put right as one line, without a traceback."""

	@wraps(command)
	def wrapper(*args: Any, **options: Any) -> Any:
		ctx = click.get_current_context()
		try:
			with _one_line(ctx, ctx.meta.get("hub_config", "")):
				return command(*args, **options)
		except (HubError, ConnectorError) as error:
			raise click.ClickException(clipped(plain(error))) from None

	return wrapper


def indented(text: str | None) -> Iterator[str]:
	"""Return the lines of a text from outside as they stand, each behind blanks: none passes for one of ours."""
	for line in (text or "").splitlines():
		yield f"  {line}"


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
	"""Return the text that clears the counts on a terminal's line, "" where stderr is no terminal."""
	return "\r\x1b[K" if sys.stderr.isatty() else ""
