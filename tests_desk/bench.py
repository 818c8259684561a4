"""What a desk test needs around it: the bench's web server, socket.io, a worker, and a sandbox, for its time."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import requests

from integration_hub.sandbox.redis import free_port, redis_server
from scripts.benches import Bench

_SCRIPTS = ("site_setup.py", "site_clear.py", "site_markup.py")
SETUP, CLEAR, MARKUP = (Path(__file__).parent / name for name in _SCRIPTS)


def owned(bench: Bench, command: list[str], **environment: str) -> list[str]:
	"""Return a command that runs as the bench's owner."""
	owner = pwd.getpwnam(bench.owner)
	environment |= {
		"HOME": owner.pw_dir,
		"USER": owner.pw_name,
		"PATH": f"{bench.owner_path}:{os.environ['PATH']}",
	}
	command = ["env", *(f"{name}={value}" for name, value in environment.items()), *command]
	if os.geteuid() != 0 or owner.pw_uid == 0:
		return command
	return ["setpriv", "--reuid", str(owner.pw_uid), "--regid", str(owner.pw_gid), "--init-groups", *command]


@contextmanager
def started(command: list[str], cwd: Path) -> Iterator[subprocess.Popen]:
	"""Run a process for a block, with all that it starts."""
	process = subprocess.Popen(
		command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
	)
	try:
		yield process
	finally:
		with suppress(ProcessLookupError):
			os.killpg(process.pid, signal.SIGTERM)
		try:
			process.wait(15)
		except subprocess.TimeoutExpired:
			os.killpg(process.pid, signal.SIGKILL)
			process.wait()


@contextmanager
def configured(path: Path, **values: object) -> Iterator[None]:
	"""Have a site's configuration say something for a block."""
	before = json.loads(path.read_text())
	path.write_text(json.dumps(before | values, indent=1))
	try:
		yield
	finally:
		now = json.loads(path.read_text())
		kept = {name: before[name] for name in values if name in before}
		path.write_text(json.dumps({name: now[name] for name in now if name not in values} | kept, indent=1))


@contextmanager
def served(bench: Bench, site: str) -> Iterator[tuple[str, bool]]:
	"""Serve a site with all that Desk needs; give its URL, and whether realtime events reach a browser.

	Jobs go through a Redis of its own: other sites of the bench may keep its queues busy, or take our jobs.
	"""
	helper = [str(bench.path / "env/bin/python"), "-m", "frappe.utils.bench_helper", "frappe", "--site", site]
	sites, port, socketio = bench.path / "sites", free_port(), free_port()
	with ExitStack() as stack:
		stack.enter_context(configured(sites / site / "site_config.json", socketio_port=socketio))
		queue = {"FRAPPE_REDIS_QUEUE": stack.enter_context(redis_server())}
		web = owned(bench, [*helper, "serve", "--port", str(port), "--noreload"], DEV_SERVER="1", **queue)
		stack.enter_context(started(web, sites))
		worker = owned(bench, [*helper, "worker", "--queue", "short,default,long"], **queue)
		stack.enter_context(started(worker, sites))
		live = bool(shutil.which("node"))
		if live:
			# A port of its own: what another bench, or this one, has running there does not know the site.
			named = {"FRAPPE_SITE": site, "FRAPPE_SOCKETIO_PORT": str(socketio)}
			node = owned(bench, ["node", "apps/frappe/socketio.js"], **named, **queue)
			stack.enter_context(started(node, bench.path))
		url = f"http://127.0.0.1:{port}"
		_await(url)
		yield url, live


def _await(url: str) -> None:
	for _ in range(120):
		with suppress(requests.RequestException):
			if requests.get(f"{url}/api/method/ping", timeout=10).ok:
				return
		time.sleep(0.5)
	raise TimeoutError(f"{url} does not answer")


def end_sandbox() -> None:
	"""End the sandbox that a press of the onboarding's link left running."""
	for process in Path("/proc").glob("[0-9]*"):
		with suppress(OSError):
			if b"integration_hub.sandbox.alone import run" in (process / "cmdline").read_bytes():
				os.kill(int(process.name), signal.SIGTERM)


def run_on_site(bench: Bench, site: str, script: Path) -> str:
	"""Run a script of this folder with the site connected."""
	head = f"import frappe; frappe.init(site={site!r}); frappe.connect(); frappe.set_user('Administrator')\n"
	tail = "\nfrappe.db.commit(); frappe.clear_cache(); frappe.destroy()\n"
	return bench.python("-c", head + script.read_text() + tail)
