"""A short run of `make chaos`, and that what it looks for would be found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chaos.clock import Clocks
from chaos.fault_plan import Targets, schedule
from chaos.slow_connections import SlowConnectionCounts, SlowConnections

ROOT = Path(__file__).parent.parent


def chaos(folder: Path, seed: int, minutes: float) -> subprocess.CompletedProcess:
	options = ["--minutes", str(minutes), "--seed", str(seed), "--customers", "150", "--keep", str(folder)]
	command = [sys.executable, "-m", "chaos", *options]
	return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_what_was_confirmed_is_done_once_and_everything_equals_its_source(tmp_path):
	done = chaos(tmp_path / "run", 3, 0.25)
	assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
	assert done.stdout.rstrip().splitlines()[-2] == "chaos: ok"
	effects = int(re.search(r"Effects +([\d,]+) of", done.stdout)[1].replace(",", ""))
	assert effects > 50, "there was a load"
	slow_connection_counts = re.search(
		r"Slow connections +([\d,]+) opened .* answered ([\d,]+) times", done.stdout
	)
	assert int(slow_connection_counts[1]) and int(slow_connection_counts[2]), "and slow senders beside it"


def test_the_same_seed_is_the_same_plan():
	targets = Targets(["receiver", "worker-1"])
	assert schedule(7, 120, targets) == schedule(7, 120, targets) != schedule(8, 120, targets)
	actions = {step.action for step in schedule(7, 3600, targets)}
	assert {"kill", "freeze", "stop_redis", "cut", "spoil_page", "move_clock", "time_passes"} <= actions
	assert not {"stop_database", "disconnect", "kill_job", "kill_alone"} & actions
	site = Targets(["rq-1"], workers=["rq-1"], disconnect=True, database=True)
	actions = {step.action for step in schedule(7, 3600, site)}
	assert {"stop_database", "disconnect", "kill_job", "kill_alone"} <= actions


@pytest.mark.parametrize("seed", range(20))
def test_the_shortest_run_meets_slow_connections_and_a_clock_that_jumps(seed):
	for clocks in (False, True):
		steps = schedule(seed, 15, Targets(["receiver", "worker-1"], clocks=clocks))
		assert {"crowd", "jump"} & {step.action for step in steps if step.does} == (
			{"crowd", "jump"} if clocks else {"crowd"}
		)


_TELLS_THE_TIME = """
import sys, time
from datetime import datetime
for _ in sys.stdin:
	began = time.monotonic(), time.time()
	time.sleep(0.1)
	print(datetime.now().timestamp(), time.monotonic() - began[0], time.time() - began[1], flush=True)
"""


@pytest.mark.skipif(
	not shutil.which("cc") or sys.platform != "linux", reason="clocks are compiled, for Linux"
)
def test_a_clock_is_ahead_and_put_right_again_and_nobody_sleeps_longer(tmp_path):
	clocks = Clocks(tmp_path / "clocks")
	env = {**os.environ, **clocks.environment("one")}
	process = subprocess.Popen(
		[sys.executable, "-c", _TELLS_THE_TIME],
		env=env,
		stdin=subprocess.PIPE,
		stdout=subprocess.PIPE,
		text=True,
	)

	def hours_ahead() -> int:
		process.stdin.write("\n")
		process.stdin.flush()
		told, *slept = map(float, process.stdout.readline().split())
		assert all(0.09 < seconds < 60 for seconds in slept)
		return round((told - time.time()) / 3600)

	with process:
		assert hours_ahead() == 0
		clocks.jump(["one"], 26 * 3600)
		assert hours_ahead() == 26
		clocks.put_right()
		assert hours_ahead() == 0
		process.stdin.close()
	assert clocks.farthest == 26 * 3600


@contextmanager
def health(answers: threading.Event) -> Iterator[int]:
	"""Serve /health, while it `answers`, with a thread for each connection; give the port."""

	class Health(BaseHTTPRequestHandler):
		def do_GET(self) -> None:
			self.send_response(200 if answers.is_set() else 500)
			self.send_header("Content-Length", "0")
			self.end_headers()

		def log_message(self, *args: object) -> None:
			pass

	class Server(ThreadingHTTPServer):
		request_queue_size = 100

	with Server(("127.0.0.1", 0), Health) as server:
		threading.Thread(target=server.serve_forever, daemon=True).start()
		yield server.server_port
		server.shutdown()


@pytest.mark.parametrize("disturbed", [False, True])
def test_a_receiver_that_no_longer_answers_is_found_out_unless_it_was_disturbed(disturbed):
	found, answers, disturbances = SlowConnectionCounts(), threading.Event(), [0]
	answers.set()
	with health(answers) as port:
		crowd = SlowConnections(port, 20, found, lambda: disturbances[0])
		await_that(lambda: found.healthy > 1 and found.opened >= 20)
		assert not found.silent
		disturbances[0] += disturbed
		answers.clear()
		await_that(lambda: found.silent) if not disturbed else time.sleep(1.5)
		crowd.disperse()
	assert bool(found.silent) is not disturbed


def await_that(happens: Callable[[], object]) -> None:
	until = time.monotonic() + 60
	while not happens():
		assert time.monotonic() < until
		time.sleep(0.05)


_BROKEN = """
import random
from contextlib import nullcontext
from integration_hub.stores import inbox
from integration_hub.stores.sqlite import SQLiteDatabase

# Some events are acknowledged and not stored; and what a failing handler wrote stays.
store = inbox.store
inbox.store = lambda runtime, events: store(runtime, events) if random.random() < 0.9 else ["received"] * len(events)
SQLiteDatabase.savepoint = lambda self: nullcontext()
"""


@pytest.mark.slow
def test_an_engine_that_loses_and_doubles_is_found_out(tmp_path, monkeypatch):
	(tmp_path / "sitecustomize.py").write_text(_BROKEN)
	monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
	done = chaos(tmp_path / "run", 3, 0.15)
	assert done.returncode == 1 and "chaos: FAILED" in done.stdout
	wrong = re.findall(r"WRONG +(.+?)  ", done.stdout)
	assert {"Confirmed, and without effect", "Handled more than once"} <= set(wrong), done.stdout[-5000:]
