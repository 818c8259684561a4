"""Acknowledging webhooks without a bench: our receiver, and a bare WSGI endpoint that does the least there is to do.

python -m benchmarks.receiver_standalone
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from benchmarks.figures import ROUNDS, Figure, percentiles, say, size
from benchmarks.load import SECRET, load, server
from benchmarks.wsgi import serve_wsgi
from integration_hub.sandbox.redis import free_port
from integration_hub.sandbox.sender import HEADER, sign

SECONDS = size(4, quick=1)
WORKERS, THREADS = 2, 8
CONNECTIONS = (8, 50)
HUB = f"""
[integration.crm]
base_url = "https://example.com"
webhook_enabled = true
webhook_secret = "env:BENCHMARK_SECRET"
signature_header = "{HEADER}"
event_type_path = "event"
event_id_path = "id"

[[integration.crm.routes]]
event_pattern = "*"
action = "Call Function"
handler = "nothing"

[handlers]
nothing = "benchmarks.inbox_lag.nothing"
"""


def bare(path: str) -> Callable[[dict, Callable], Iterable[bytes]]:
	"""Return a WSGI endpoint: HMAC, one insert, one commit."""
	local = threading.local()

	def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
		body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
		if environ["HTTP_X_WEBHOOK_SIGNATURE"] != sign(body, SECRET):
			start_response("401 Unauthorized", [("Content-Length", "0")])
			return [b""]
		if not hasattr(local, "db"):
			local.db = sqlite3.connect(path, timeout=30, isolation_level=None)
			local.db.execute("PRAGMA synchronous = FULL")
		local.db.execute("INSERT INTO event (body) VALUES (?)", [body])
		start_response("200 OK", [("Content-Length", "2")])
		return [b"ok"]

	return application


def serve_bare(folder: str, port: int) -> None:
	path = f"{folder}/bare.db"
	with sqlite3.connect(path) as db:
		db.execute("PRAGMA journal_mode = WAL")
		db.execute("CREATE TABLE IF NOT EXISTS event (number INTEGER PRIMARY KEY, body BLOB)")
	serve_wsgi(partial(bare, path), port, WORKERS, THREADS)


def measure(name: str, path: str, command: Callable[[int], list[str]]) -> list[Figure]:
	figures = []
	port = free_port()
	with server(command(port), port):
		for connections in CONNECTIONS:
			load(port, path, connections, SECONDS)  # warm
			rounds = [load(port, path, connections, SECONDS) for _ in range(ROUNDS)]
			at = f"{name}, {connections} connections"
			rate = statistics.median(len(took) for took in rounds) / SECONDS
			figures.append(Figure(at, rate, "acknowledgements/s"))
			middle = sorted(rounds, key=len)[len(rounds) // 2]
			figures += [Figure(f"{at}, {p}", ms, "ms", "lower") for p, ms in percentiles(middle).items()]
	return figures


def main() -> None:
	os.environ["BENCHMARK_SECRET"] = SECRET
	with tempfile.TemporaryDirectory() as folder:
		toml = Path(folder) / "hub.toml"
		toml.write_text(HUB)
		hub = [sys.executable, "-c", "from integration_hub.commands import main; main()"]
		options = ["--workers", str(WORKERS), "--threads", str(THREADS)]
		figures = measure(
			"bare WSGI",
			"/",
			lambda port: [sys.executable, "-m", "benchmarks.receiver_standalone", "serve", folder, str(port)],
		)
		figures += measure(
			"receiver",
			"/webhooks/crm",
			lambda port: [*hub, "--config", str(toml), "serve", "--port", str(port), *options],
		)
	say(figures)


if __name__ == "__main__":
	if sys.argv[1:2] == ["serve"]:
		serve_bare(sys.argv[2], int(sys.argv[3]))
	else:
		main()
