"""A server as a process, until its test module is done."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

SECONDS = 60


def free_port() -> int:
	with socket.socket() as one:
		one.bind(("127.0.0.1", 0))
		return one.getsockname()[1]


@contextmanager
def server(
	command: Sequence[str | Path], url: str, folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[str]:
	"""Run a command in a folder until `url` answers; give the URL's origin. Its whole process group ends with it."""
	log = folder / "server.log"
	with log.open("wb") as out:
		process = subprocess.Popen(
			[str(part) for part in command],
			cwd=folder,
			env={**os.environ, **(env or {})},
			stdout=out,
			stderr=subprocess.STDOUT,
			start_new_session=True,
		)
	try:
		_wait(process, url, log)
		yield "/".join(url.split("/")[:3])
	finally:
		with suppress(ProcessLookupError):
			os.killpg(process.pid, signal.SIGKILL)
		process.wait()


def _wait(process: subprocess.Popen, url: str, log: Path) -> None:
	end = time.monotonic() + SECONDS
	while time.monotonic() < end:
		if process.poll() is not None:
			break
		with suppress(requests.RequestException):
			if requests.get(url, timeout=5).status_code < 500:
				return
		time.sleep(0.1)
	raise AssertionError(f"{url} does not answer:\n{log.read_text()[-3000:]}")
