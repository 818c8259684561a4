"""Senders that take their time, and others beside them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from integration_hub.sandbox import sender
from integration_hub.sandbox.redis import free_port

HUB = [sys.executable, "-c", "from integration_hub.commands import main; main()"]


@contextmanager
def running(config: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen]]:
	"""Run `integration-hub serve` for a block, from when it answers; give its address and the process."""
	port = free_port()
	process = subprocess.Popen([*HUB, "--config", str(config), "serve", "--port", str(port), *options])
	try:
		url = f"http://127.0.0.1:{port}"
		await_health(url, process)
		yield url, process
	finally:
		process.terminate()
		process.wait(20)


def await_health(url: str, process: subprocess.Popen) -> None:
	for _ in range(300):
		assert process.poll() is None, f"ended with {process.returncode}"
		try:
			if requests.get(f"{url}/health", timeout=5).status_code == 200:
				return
		except requests.ConnectionError:
			time.sleep(0.1)
	raise AssertionError("no answer")


def event(number: object, **more: object) -> tuple[bytes, dict[str, str]]:
	"""Return the body of an event and its headers."""
	body = json.dumps({"id": str(number), "event": "call.x", **more}).encode()
	return body, {sender.HEADER: sender.sign(body), "Content-Type": "application/json"}


def post(url: str, number: object, **more: object) -> requests.Response:
	body, headers = event(number, **more)
	return requests.post(f"{url}/webhooks/crm", data=body, headers=headers, timeout=60)


class Drips:
	"""Connections, each of which sends the beginning of a request and then a byte now and then."""

	def __init__(self, url: str, count: int, begin: bytes):
		host, _, port = url.removeprefix("http://").partition(":")
		self.sockets = [socket.create_connection((host, int(port))) for _ in range(count)]
		self._stop = threading.Event()
		for one in self.sockets:
			one.sendall(begin)
		self._thread = threading.Thread(target=self._drip, daemon=True)
		self._thread.start()

	def _drip(self) -> None:
		while not self._stop.wait(0.5):
			for one in self.sockets:
				try:
					one.send(b"x")
				except OSError:
					continue

	def __enter__(self) -> Drips:
		return self

	def __exit__(self, *exc_info: object) -> None:
		self._stop.set()
		self._thread.join()
		for one in self.sockets:
			one.close()


def good_ones(url: str, seconds: float, rate: int = 100) -> list[tuple[int, float]]:
	"""Post `rate` events a second for a while; return the status and the seconds of each."""
	found: list[tuple[int, float]] = []
	lanes, began = 10, time.monotonic()

	def lane(place: int) -> None:
		session = requests.Session()
		for number in range(place, int(seconds * rate), lanes):
			time.sleep(max(0.0, began + number / rate - time.monotonic()))
			body, headers = event(f"good-{number}")
			at = time.monotonic()
			answer = session.post(f"{url}/webhooks/crm", data=body, headers=headers, timeout=60)
			found.append((answer.status_code, time.monotonic() - at))

	threads = [threading.Thread(target=lane, args=(place,)) for place in range(lanes)]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	return found


def nginx_binary() -> str | None:
	"""Return nginx, which distributions put where only root's PATH leads to."""
	return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")


@contextmanager
def nginx(folder: Path, upstream: str) -> Iterator[str]:
	"""Run nginx in front of a receiver for a block, as docs/operations.md has it but for TLS; give its address."""
	port = free_port()
	paths = "".join(
		f"{name}_temp_path {folder}/{name};\n"
		for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
	)
	(folder / "nginx.conf").write_text(
		f"pid {folder}/pid;\nerror_log {folder}/error;\ndaemon off;\nmaster_process off;\n"
		"events { worker_connections 2048; }\n"
		f"http {{\naccess_log off;\n{paths}server {{\nlisten 127.0.0.1:{port};\nclient_max_body_size 25m;\n"
		f"location / {{ proxy_pass {upstream}; proxy_set_header Host $host; }}\n}}\n}}\n"
	)
	command = [
		nginx_binary() or "nginx",
		"-p",
		str(folder),
		"-e",
		f"{folder}/error",
		"-c",
		f"{folder}/nginx.conf",
	]
	process = subprocess.Popen(command)
	with ExitStack() as stack:
		stack.callback(process.wait)
		stack.callback(process.terminate)
		await_health(f"http://127.0.0.1:{port}", process)
		yield f"http://127.0.0.1:{port}"
