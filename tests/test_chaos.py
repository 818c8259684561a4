"""A short run of `make chaos`, and that what it looks for would be found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from chaos.plan import Targets, schedule

ROOT = Path(__file__).parent.parent


def chaos(folder: Path, seed: int, minutes: float) -> subprocess.CompletedProcess:
	options = ["--minutes", str(minutes), "--seed", str(seed), "--customers", "150", "--keep", str(folder)]
	command = [sys.executable, "-m", "chaos", *options]
	return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_what_was_confirmed_is_done_once_and_everything_equals_its_source(tmp_path):
	done = chaos(tmp_path / "run", 3, 0.25)
	assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
	assert done.stdout.rstrip().splitlines()[-2] == "chaos: ok"
	effects = int(re.search(r"Effects +([\d,]+) of", done.stdout)[1].replace(",", ""))
	assert effects > 50, "there was a load"


def test_the_same_seed_is_the_same_plan():
	targets = Targets(["receiver", "worker-1"])
	assert schedule(7, 120, targets) == schedule(7, 120, targets) != schedule(8, 120, targets)
	actions = {step.action for step in schedule(7, 3600, targets)}
	assert {"kill", "freeze", "stop_redis", "cut", "spoil_page", "move_clock", "time_passes"} <= actions
	assert not {"stop_database", "disconnect", "kill_job", "kill_alone"} & actions
	site = Targets(["rq-1"], workers=["rq-1"], disconnect=True, database=True)
	actions = {step.action for step in schedule(7, 3600, site)}
	assert {"stop_database", "disconnect", "kill_job", "kill_alone"} <= actions


_BROKEN = """
import random
from contextlib import nullcontext
from integration_hub.stores import inbox
from integration_hub.stores.sqlite import SQLiteDatabase

# Some events are acknowledged and not stored; and what a failing handler wrote stays.
store = inbox.store
inbox.store = lambda home, events: store(home, events) if random.random() < 0.9 else ["received"] * len(events)
SQLiteDatabase.savepoint = lambda self: nullcontext()
"""


def test_an_engine_that_loses_and_doubles_is_found_out(tmp_path, monkeypatch):
	(tmp_path / "sitecustomize.py").write_text(_BROKEN)
	monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
	done = chaos(tmp_path / "run", 3, 0.15)
	assert done.returncode == 1 and "chaos: FAILED" in done.stdout
	wrong = re.findall(r"WRONG +(.+?)  ", done.stdout)
	assert {"Confirmed, and without effect", "Handled more than once"} <= set(wrong), done.stdout[-5000:]
