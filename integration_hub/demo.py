"""The main job, end to end: run everything, then compare with the source. On a site, or without a bench."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import requests
from cryptography.fernet import Fernet
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from integration_hub.queues.consumer import consumer_for
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.worker import work_once
from integration_hub.sandbox import Sandbox, sender
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.sandbox.example import FIELDS, TABLES, hub_toml
from integration_hub.sandbox.list_quirks import MOODS
from integration_hub.sandbox.redis import free_port, redis_binary, redis_server
from integration_hub.stores.private_files import make_file, make_folder
from integration_hub.stores.runs import Run
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.run import run_stream
from integration_hub.terminal_text import plain

_SAYS = {
	"holes": "pages empty in the middle",
	"filters": "counted, then filtered",
	"caps": "a capped list",
	"lies": "a lie about the end",
}
FAULT_RATES = {"500": 0.05, "reset": 0.04, "truncate": 0.04}


@dataclass
class Result:
	"""One line of the summary: what was done, what came of it, and whether it is as it should be."""

	step: str
	outcome: str
	right: bool


@dataclass
class Demo:
	"""A hub, a sandbox, and what happened so far."""

	runtime: Runtime
	crm: Sandbox
	endpoint: str
	progress: Progress
	results: list[Result] = field(default_factory=list)

	def note(self, step: str, outcome: str, right: bool) -> None:
		"""Add the outcome of a step to the results. right: it is as it should be."""
		self.results.append(Result(step, outcome, right))


OpenSite = Callable[[Path], AbstractContextManager[tuple[Runtime, list[str]]]]


@contextmanager
def standalone_site(toml: Path) -> Iterator[tuple[StandaloneRuntime, list[str]]]:
	"""The standalone runtime: give it, and the command that serves it."""
	with StandaloneRuntime(toml) as runtime:
		code = "from integration_hub.commands import main; main()"
		yield runtime, [sys.executable, "-c", code, "--config", str(toml)]


def run(
	customers: int,
	seed: int,
	keep: Path | None,
	open_site: OpenSite = standalone_site,
	place: str = "one SQLite file",
) -> bool:
	"""Run the demo in `keep` or a folder that goes away; print it, return whether all is right."""
	console = Console(highlight=False)
	console.print(
		f"[bold]Integration Hub[/]: a sandbox CRM with {customers} customers, faults on, {place}.\n"
		"Its streams are on from the start (enabled = true); one of yours is off until its first sync.\n"
	)
	columns = (SpinnerColumn(), TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn())
	with ExitStack() as stack:
		folder = Path(keep) if keep else Path(stack.enter_context(tempfile.TemporaryDirectory()))
		folder.parent.mkdir(parents=True, exist_ok=True)
		make_folder(folder)
		redis_url = _redis(stack)
		crm = stack.enter_context(Sandbox(customers, seed))
		toml = _settings(folder, crm, redis_url)
		runtime, command = stack.enter_context(open_site(toml))
		endpoint = stack.enter_context(_receiver(command, folder))
		progress = stack.enter_context(Progress(*columns, console=console))
		demo = Demo(runtime, crm, endpoint, progress)
		crm.faults.set(rates=FAULT_RATES)
		for step in (_first_load, _after_changes, _moods, _webhooks, _queue, _catch_up):
			step(demo)
	met = {kind: count for kind, count in {**crm.faults.met, "429": crm.budget.refused}.items() if count}
	demo.note("Faults overcome", ", ".join(f"{n} × {kind}" for kind, n in met.items()), bool(met))
	return _report(console, demo.results)


def _redis(stack: ExitStack) -> str:
	"""Start a Redis for the demo; return its URL, "" where there is none, or none that runs here."""
	try:
		return stack.enter_context(redis_server()) if redis_binary() else ""
	except (RuntimeError, OSError):
		return ""


def _settings(folder: Path, crm: Sandbox, redis_url: str) -> Path:
	os.environ |= {
		"HUB_KEY": Fernet.generate_key().decode(),
		"CRM_CLIENT_SECRET": CLIENT_SECRET,
		"CRM_WEBHOOK_SECRET": sender.SECRET,
		"CRM_QUEUE_URL": redis_url,
	}
	path = folder / "hub.toml"
	path.unlink(missing_ok=True)
	make_file(path, hub_toml(crm.url, redis_url=redis_url))
	return path


@contextmanager
def _receiver(command: list[str], folder: Path) -> Iterator[str]:
	"""Start `… serve` as a process of its own; give the URL events are posted to."""
	port = free_port()
	make_file(folder / "serve.log")
	with (folder / "serve.log").open("w") as log:
		# In a session of its own: Ctrl+C is for the demo, which stops it.
		process = subprocess.Popen(
			[*command, "serve", "--port", str(port)], stdout=log, stderr=log, start_new_session=True
		)
	try:
		_await(f"http://127.0.0.1:{port}/health", process)
		yield f"http://127.0.0.1:{port}/webhooks/crm"
	finally:
		process.terminate()
		try:
			process.wait(20)
		except subprocess.TimeoutExpired:
			process.kill()
			process.wait()


def _await(url: str, process: subprocess.Popen) -> None:
	for _ in range(200):
		if process.poll() is not None:
			break
		try:
			requests.get(url, timeout=1)
			return
		except requests.RequestException:
			time.sleep(0.1)
	raise RuntimeError("The webhook receiver did not start.")


def _first_load(demo: Demo) -> None:
	count = demo.crm.customers.counts()["alive"]
	for stream in ("customers-full", "customers-incremental", "customers-cursor"):
		row = _sync(demo, stream, "first load", count)
		demo.note(
			f"{_kind(stream)}, first load",
			_counts(row),
			row["status"] == "Completed" and row["created"] == count,
		)


def _after_changes(demo: Demo) -> None:
	# Where more than a tenth of a table would go, it waits for a person; and none is here.
	gone = min(30, demo.crm.customers.counts()["alive"] // 10)
	demo.crm.change(create=40, update=120, delete=gone)
	# The request budget: the server refuses, the connector waits as long as it is told.
	demo.crm.budget.limit, demo.crm.budget.period = 15, 1
	for stream in ("customers-full", "customers-incremental", "customers-cursor"):
		changes = f"after {160 + gone} changes"
		row = _sync(demo, stream, changes, None)
		right = row["status"] == "Completed" and row["created"] == 40 and row["deleted"] == gone
		demo.note(f"{_kind(stream)}, {changes}", _counts(row), right)
	demo.crm.budget.limit = 0
	for stream, table in zip(("full", "incremental", "cursor"), TABLES.values(), strict=True):
		_compare(demo, f"Compared: {stream}", table)


def _moods(demo: Demo) -> None:
	"""Sync from a source that empties pages, filters, caps its list and lies about its end: nothing that lives goes."""
	for mood in MOODS:
		demo.crm.be(mood)
		row = _sync(demo, "customers-full", _SAYS[mood], None)
		doubtful = "not known to be complete" in (row["error"] or "")
		right = row["status"] == "Completed" and not row["deleted"] and doubtful is (mood != "holes")
		said = "noted as not complete" if doubtful else "complete"
		demo.note(f"full, {_SAYS[mood]}", f"{said}, {row['deleted']} deleted", right)
	demo.crm.be("")
	_compare(demo, "Compared: after a source like that", TABLES["full"])


def _sync(demo: Demo, stream: str, label: str, total: int | None) -> dict[str, Any]:
	task = demo.progress.add_task(f"{stream}, {label}", total=total)

	def watch(run: Run) -> None:
		demo.progress.update(task, completed=run.counts.fetched)

	demo.runtime.watcher = watch
	row = run_stream(demo.runtime, stream, "Demo")
	demo.progress.update(task, total=max(row["fetched"], 1), completed=row["fetched"] or 1)
	return row


def _webhooks(demo: Demo) -> None:
	"""Send each change as a signed event, every fifth twice, and one that is forged."""
	deliveries = [sender.make(event, record) for event, record in _changes(demo, updates=60)]
	answers: dict[str, int] = {}
	sent = [copy for number, d in enumerate(deliveries) for copy in ([d, d] if number % 5 == 0 else [d])]
	for delivery in demo.progress.track(sent, description="webhooks, some of them twice"):
		answer = sender.send(demo.endpoint, delivery).json()["status"]
		answers[answer] = answers.get(answer, 0) + 1
	repeated = len(sent) - len(deliveries)
	demo.note(
		f"{len(sent)} webhooks",
		", ".join(f"{n} {word}" for word, n in answers.items()),
		answers == {"received": len(deliveries), "duplicate": repeated},
	)
	forged = sender.make("customer.updated", demo.crm.customers.alive()[0], secret="guessed")  # noqa: S106
	status = sender.send(demo.endpoint, forged).status_code
	demo.note("1 forged webhook", f"answered {status}", status == 401)
	work_once(demo.runtime)
	_inbox(demo, "HTTP", len(deliveries))
	_compare(demo, "Compared: changes by webhook alone", TABLES["full"])


def _queue(demo: Demo) -> None:
	url = os.environ["CRM_QUEUE_URL"]
	if not url:
		demo.note("Redis queue", "left out: there is no redis-server here", True)
		return
	changes = _changes(demo, updates=40)
	client = redis.from_url(url)
	for number, (event, record) in enumerate(
		demo.progress.track(changes, description="messages of a Redis list")
	):
		client.lpush("crm_events", json.dumps({"id": f"msg-{number}", "type": event, "data": record}))
	client.lpush("crm_events", "not JSON")
	done = consumer_for(demo.runtime, "crm").drain()
	right = (done.received, done.unreadable) == (len(changes), 1)
	demo.note(
		f"{len(changes) + 1} queue messages",
		f"{done.received} received, {done.unreadable} dead-lettered",
		right,
	)
	work_once(demo.runtime)
	_inbox(demo, "Queue", len(changes))
	_compare(demo, "Compared: changes by queue alone", TABLES["full"])


def _catch_up(demo: Demo) -> None:
	for stream in ("customers-full", "customers-incremental", "customers-cursor"):
		_sync(demo, stream, "catching up", None)
	for stream, table in zip(("full", "incremental", "cursor"), TABLES.values(), strict=True):
		_compare(demo, f"Compared at the end: {stream}", table)
	errors = _read(demo, "SELECT `kind` FROM `tabIntegration Error Log` WHERE `integration` = 'crm'")
	kinds = ", ".join(sorted(row["kind"] for row in errors))
	dead_letter = ["body_not_json"] if os.environ["CRM_QUEUE_URL"] else []
	demo.note("Errors logged", kinds, kinds == ", ".join([*dead_letter, "signature_wrong"]))


def _changes(demo: Demo, updates: int) -> list[tuple[str, dict[str, Any]]]:
	"""Change the CRM; return the events that tell of it, in order."""
	before = demo.crm.customers.counts()["changes"]
	demo.crm.change(create=10, update=updates, delete=10)
	feed, _ = demo.crm.customers.changes(before, 10_000)
	return [(f"customer.{entry['type']}", entry["record"]) for entry in feed]


def _inbox(demo: Demo, endpoint: str, expected: int) -> None:
	sql = "SELECT `status`, COUNT(*) AS `n` FROM `tabWebhook Log` WHERE `integration` = 'crm' AND `door` = %s GROUP BY `status`"
	states: dict[str, int] = {}
	for _ in range(60):  # on a site, workers may be at it too
		states = {row["status"]: row["n"] for row in _read(demo, sql, [endpoint])}
		if not states.keys() & {"Queued", "Processing"}:
			break
		time.sleep(0.5)
	text = ", ".join(f"{n} {state}" for state, n in states.items())
	demo.note(f"Inbox ({endpoint})", text, states == {"Completed": expected})


def _read(demo: Demo, sql: str, params: list | None = None) -> list[dict[str, Any]]:
	"""Read what is committed now."""
	with demo.runtime.db.transaction():
		return demo.runtime.db.query(sql, params)


def _compare(demo: Demo, step: str, table: str) -> None:
	"""Compare a table with the sandbox's own data, record for record."""
	expected = {
		row["id"]: {**{ours: row[theirs] for ours, theirs in FIELDS.items()}, "active": int(row["active"])}
		for row in demo.crm.customers.alive()
	}
	columns = ", ".join(f"`{name}`" for name in FIELDS)
	rows = _read(demo, f"SELECT {columns} FROM `tab{table}`")
	found = {row["customer_id"]: row for row in rows}
	different = sum(found.get(id) != row for id, row in expected.items())
	surplus = len(rows) - len(expected.keys() & found.keys())
	right = different == 0 and surplus == 0
	told = "all the same" if right else f"{different} different, {surplus} too many"
	demo.note(step, f"{len(rows)} records, {told}", right)


def _kind(stream: str) -> str:
	return stream.removeprefix("customers-")


def _counts(row: dict[str, Any]) -> str:
	names = ("created", "updated", "deleted", "failed")
	text = ", ".join(f"{row[name]} {name}" for name in names if row[name]) or "nothing to do"
	return text if row["status"] == "Completed" else f"{row['status']}: {row['error'] or text}"


def _report(console: Console, results: list[Result]) -> bool:
	table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
	table.add_column("Step")
	table.add_column("Outcome")
	table.add_column("", justify="right")
	for result in results:
		table.add_row(
			escape(plain(result.step)),
			escape(plain(result.outcome)),
			"[green]ok[/]" if result.right else "[red]WRONG[/]",
		)
	console.print()
	console.print(table)
	right = all(result.right for result in results)
	console.print("demo: ok" if right else "demo: FAILED")
	return right
