"""Taking messages off a Redis list without a bench: one at a time with a commit each, and ours.

python -m benchmarks.queue_standalone
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from pathlib import Path

import redis

from benchmarks.figures import Figure, median_seconds, say, size
from integration_hub.queues.consumer import consumer_for
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox.redis import redis_server

COUNT = size(10_000, quick=1000)
QUEUE = "benchmark_events"
HUB = f"""
[hub]
allowed_hosts = ["127.0.0.1:*"]

[integration.crm]
base_url = "https://example.com"
queue_enabled = true
queue_url = "env:BENCHMARK_QUEUE"
queue_name = "{QUEUE}"
queue_kind = "KIND"
"""


def fill(client: redis.Redis, kind: str) -> None:
	client.flushall()
	with client.pipeline(transaction=False) as pipe:
		for number in range(COUNT):
			message = json.dumps({"id": f"m-{number}", "type": "x", "data": {"number": number}})
			pipe.lpush(QUEUE, message) if kind == "List" else pipe.xadd(QUEUE, {"message": message})
		pipe.execute()


def naive(client: redis.Redis, db: sqlite3.Connection) -> None:
	"""BRPOP, insert, commit: what is popped when the process dies is gone."""
	while client.llen(QUEUE):
		_, data = client.brpop(QUEUE, timeout=1)
		db.execute("INSERT INTO event (body) VALUES (?)", [json.dumps(json.loads(data))])


def ours(runtime: StandaloneRuntime) -> None:
	assert consumer_for(runtime, "crm").drain().received == COUNT


def main() -> None:
	with tempfile.TemporaryDirectory() as folder, redis_server() as url:
		os.environ["BENCHMARK_QUEUE"] = url
		client = redis.from_url(url)
		db = sqlite3.connect(Path(folder) / "naive.db", isolation_level=None)
		db.execute("PRAGMA journal_mode = WAL")
		db.execute("PRAGMA synchronous = FULL")
		db.execute("CREATE TABLE event (number INTEGER PRIMARY KEY, body TEXT)")
		took = {
			"BRPOP, insert, commit": median_seconds(
				(lambda: fill(client, "List"), False), (lambda: naive(client, db), True)
			)
		}
		for kind in ("List", "Stream"):
			path = Path(folder) / f"{kind}.toml"
			path.write_text(HUB.replace("KIND", kind).replace("[hub]", f'[hub]\ndatabase = "{kind}.db"'))
			with StandaloneRuntime(path) as runtime:

				def ready(runtime: StandaloneRuntime = runtime, kind: str = kind) -> None:
					runtime.db.execute("DELETE FROM `tabWebhook Log`")
					fill(client, kind)

				took[f"ours, {kind}"] = median_seconds(
					(ready, False), (lambda runtime=runtime: ours(runtime), True)
				)
	figures = [Figure(name, COUNT / seconds, "messages/s") for name, seconds in took.items()]
	figures.append(Figure("ours, List / BRPOP", took["BRPOP, insert, commit"] / took["ours, List"], "×"))
	say(figures)


if __name__ == "__main__":
	main()
