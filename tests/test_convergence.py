"""Whatever the source, the network and the machine do, in whatever order: in the end target equals source."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.sandbox.example import hub_toml
from integration_hub.sandbox.sender import SECRET
from integration_hub.sync.run import run_stream
from tests.compare import source, table

KINDS = ("full", "incremental", "cursor")
MODES = {
	"full": ("Page Number", ""),
	"incremental": ("Cursor", ""),
	"cursor": ("Cursor", ""),
}

changes = st.builds(dict, create=st.integers(0, 6), update=st.integers(0, 6), delete=st.integers(0, 6))
faults = st.lists(st.sampled_from(["none", "500", "503", "reset", "truncate", "garbage"]), max_size=6)
events = st.lists(st.tuples(st.integers(1, 120), st.sampled_from(["kill", "change"])), max_size=3)
steps = st.lists(st.tuples(changes, faults, events), min_size=1, max_size=4)


class Killed(BaseException):
	"""The process is no more."""


def open_runtime(path) -> StandaloneRuntime:
	return StandaloneRuntime(path / "hub.toml")


@pytest.fixture(scope="module")
def secrets():
	before = dict(os.environ)
	os.environ.update(
		HUB_KEY=Fernet.generate_key().decode(), CRM_CLIENT_SECRET=CLIENT_SECRET, CRM_WEBHOOK_SECRET=SECRET
	)
	yield
	os.environ.clear()
	os.environ.update(before)


def settings_of(crm: Sandbox) -> str:
	"""Return the example's settings with pages of ten, no patience, and no limit to what may be deleted."""
	text = hub_toml(crm.url).replace(
		"backoff_min = 0.2",
		"backoff_min = 0.001\nbackoff_max = 0.002\nmax_attempts = 3\nbreaker_threshold = 1000",
	)
	for kind in KINDS:
		text = text.replace(
			f"[stream.customers-{kind}]\n",
			f"[stream.customers-{kind}]\npage_size = 10\nmax_delete_count = 1000\n",
		)
	return text


def meddle(runtime: StandaloneRuntime, at: dict[int, str], crm: Sandbox) -> None:
	"""Let things happen at the n-th statement: the source changes, or the process dies there and then."""
	run, number = runtime.db._run, itertools.count(1)
	dead = []

	def meddled(sql, params):
		event = at.get(next(number))
		if event == "change":
			crm.change(create=1, update=2, delete=1)
		if event == "kill":
			dead.append(True)
		if dead:
			raise Killed  # and whatever the process would have done in its agony
		return run(sql, params)

	runtime.db._run = meddled


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=steps, seed=st.integers(0, 5))
def test_any_interleaving_of_changes_faults_and_kills_converges(secrets, tmp_path_factory, kind, plan, seed):
	path = tmp_path_factory.mktemp("home")
	with Sandbox(customers=33, seed=seed) as crm:
		(path / "hub.toml").write_text(settings_of(crm))
		for change, following, happening in plan:
			crm.change(**change)
			crm.faults.set(following=following)
			runtime = open_runtime(path)
			meddle(runtime, dict(happening), crm)
			try:
				run_stream(runtime, f"customers-{kind}")
			except Killed:
				pass
			finally:
				runtime.db._connection.close()  # what is not committed is gone, as with a process
		crm.faults.set()
		with open_runtime(path) as runtime:
			row = run_stream(runtime, f"customers-{kind}")
			assert row["status"] == "Completed", row["error"]
			assert table(runtime, kind) == source(crm)
			live = "SELECT COUNT(*) AS `n` FROM `tabExternal Record` WHERE `status` = 'Bound'"
			assert runtime.db.query(live)[0]["n"] == len(source(crm))


_RUN = """
import sys
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sync.run import run_stream
with StandaloneRuntime(sys.argv[1]) as runtime:
	print("ready", flush=True)
	for kind in sys.argv[2:]:
		run_stream(runtime, f"customers-{kind}")
"""


@pytest.mark.slow
def test_fifty_kills_at_random_instants_lose_and_double_nothing(secrets, tmp_path):
	"""SIGKILL, in the middle of a transaction as of a request, while the source goes on changing."""
	chance = random.Random(7)
	with Sandbox(customers=400) as crm:
		crm.latency = 0.002
		(tmp_path / "hub.toml").write_text(settings_of(crm))
		open_runtime(tmp_path).close()
		for _ in range(50):
			command = [sys.executable, "-c", _RUN, str(tmp_path / "hub.toml"), *KINDS]
			process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
			assert process.stdout.readline() == "ready\n"
			time.sleep(chance.uniform(0, 0.6))
			crm.change(create=1, update=3, delete=1)
			os.kill(process.pid, signal.SIGKILL)
			process.communicate()
		crm.latency = 0
		with open_runtime(tmp_path) as runtime:
			for kind in KINDS:
				assert run_stream(runtime, f"customers-{kind}")["status"] == "Completed"
				assert table(runtime, kind) == source(crm), kind
			ends = {row["status"] for row in runtime.db.query("SELECT `status` FROM `tabSync Log`")}
			assert "Interrupted" in ends and "Running" not in ends
