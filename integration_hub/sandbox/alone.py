"""The sandbox as a process by itself: it answers on this machine alone, takes no orders, and ends after its time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

HOST, PORT, SECONDS = "127.0.0.1", 8765, 3600.0
_ROOT = Path(__file__).parent.parent.parent  # the folder that the package is in
_BEGINS = 20.0  # seconds in which it has to answer


def start(port: int = PORT, seconds: float = SECONDS) -> str:
	"""Have a sandbox answer on a port of 127.0.0.1 for a time; return its URL, of one that is there already as well.

	Raises OSError where something else has the port, TimeoutError where nothing answers in time.
	"""
	if not _listens(port):
		code = f"from integration_hub.sandbox.alone import run; run({int(port)}, {float(seconds)})"
		environment = {
			"PATH": os.environ.get("PATH", ""),
			"PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path]),
		}
		# It leaves its parent at once: no worker waits for its end, or ends it by ending.
		subprocess.run(
			[sys.executable, "-c", code],
			env=environment,
			cwd="/",
			check=True,
			timeout=_BEGINS,
			close_fds=True,
		)
	until = time.monotonic() + _BEGINS
	while not _listens(port):
		if time.monotonic() > until:
			raise TimeoutError(f"Nothing answers on port {port}.")
		time.sleep(0.1)
	if not _is_sandbox(port):
		raise OSError(f"Something else answers on port {port}.")
	return f"http://{HOST}:{port}"


def run(port: int, seconds: float) -> None:
	"""Serve in a process of its own, which ends by itself; returns in the process that called it."""
	if os.fork():
		return
	os.setsid()
	null = os.open(os.devnull, os.O_RDWR)
	for number in (0, 1, 2):
		os.dup2(null, number)
	from integration_hub.sandbox.server import Sandbox

	threading.Timer(seconds, os._exit, (0,)).start()
	with suppress(OSError):  # another process was faster
		# It answers any process of this machine: it takes no orders to call somebody, to change or to fail.
		Sandbox(port=port, takes_orders=False).serve_forever()
	os._exit(0)


def _listens(port: int) -> bool:
	with socket.socket() as probe:
		probe.settimeout(1)
		return probe.connect_ex((HOST, port)) == 0


def _is_sandbox(port: int) -> bool:
	import requests

	from integration_hub.sandbox.access import API_KEY

	with suppress(requests.RequestException, ValueError):
		answer = requests.get(f"http://{HOST}:{port}/v1/me", headers={"X-API-Key": API_KEY}, timeout=5)
		return answer.ok and isinstance(answer.json(), dict)
	return False
