"""The time an event takes from POST to Completed, under a steady load, on the standalone runtime.

python -m benchmarks.inbox_lag
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from subprocess import DEVNULL, Popen

import requests

from benchmarks.figures import Figure, percentiles, say, size
from benchmarks.load import SECRET, server
from benchmarks.receiver_standalone import HUB
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox.redis import free_port
from integration_hub.sandbox.sender import HEADER, sign

RATE, SECONDS, LANES = 100, size(20, quick=3), 10


def nothing(payload: object, event: object) -> None:
	"""The trivial handler."""


def post(url: str, lane: int, began: float, sent: dict[str, float]) -> None:
	"""Post this lane's share of the load, each event at its time, whatever became of those before it."""
	with requests.Session() as session:
		for number in range(lane, RATE * SECONDS, LANES):
			time.sleep(max(began + number / RATE - time.time(), 0))
			body = json.dumps({"id": str(number), "event": "x"}).encode()
			sent[str(number)] = time.time()
			answer = session.post(url, data=body, headers={HEADER: sign(body, SECRET)}, timeout=30)
			assert answer.status_code == 200, answer.text


def steady(url: str) -> dict[str, float]:
	"""Post RATE events a second for SECONDS; return when each was sent."""
	sent: dict[str, float] = {}
	began = time.time() + 0.5
	lanes = [threading.Thread(target=post, args=(url, lane, began, sent)) for lane in range(LANES)]
	for lane in lanes:
		lane.start()
	for lane in lanes:
		lane.join()
	return sent


def figures_of(sent: dict[str, float], ended: dict[str, float]) -> list[Figure]:
	assert ended.keys() == sent.keys(), f"{len(sent) - len(ended)} events are not completed"
	at = f"POST to Completed, {RATE} events a second"
	lags = [ended[name] - moment for name, moment in sent.items()]
	return [Figure(f"{at}, {p}", ms, "ms", "lower") for p, ms in percentiles(lags).items()]


def completed(runtime: StandaloneRuntime, count: int) -> dict[str, float]:
	"""Wait until all events are completed; return when each was."""
	sql = "SELECT `event_id`, `completed_at` FROM `tabWebhook Log` WHERE `status` = 'Completed'"
	for _ in range(600):
		rows = runtime.db.query(sql)
		if len(rows) == count:
			break
		time.sleep(0.1)
	return {
		row["event_id"]: datetime.fromisoformat(row["completed_at"]).replace(tzinfo=timezone.utc).timestamp()
		for row in rows
	}


def main() -> None:
	os.environ["BENCHMARK_SECRET"] = SECRET
	with tempfile.TemporaryDirectory() as folder:
		toml = Path(folder) / "hub.toml"
		toml.write_text(HUB)
		hub = [
			sys.executable,
			"-c",
			"from integration_hub.commands import main; main()",
			"--config",
			str(toml),
		]
		port = free_port()
		receiver = server([*hub, "serve", "--port", str(port), "--workers", "2"], port)
		worker = Popen([*hub, "work"], stdout=DEVNULL, stderr=DEVNULL)
		try:
			with StandaloneRuntime(toml) as runtime, receiver:
				sent = steady(f"http://127.0.0.1:{port}/webhooks/crm")
				ended = completed(runtime, len(sent))
		finally:
			worker.terminate()
			worker.wait()
	say(figures_of(sent, ended))


if __name__ == "__main__":
	main()
