"""Runs that are stopped or killed: their streams are due again soon, and go on where they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.connectors.rest import RestConnector
from integration_hub.stores.database import update
from integration_hub.sync.run import run_stream
from integration_hub.sync.schedule import close_silent_runs, due_streams
from tests.compare import source, table

STREAM = "customers-full"


def state(runtime, stream: str = STREAM) -> dict:
	return runtime.db.query("SELECT * FROM `tabSync Settings` WHERE `name` = %s", [stream])[0]


def small_pages(make_runtime):
	return make_runtime(('pagination = "Page Number"', 'page_size = 10\npagination = "Page Number"'))


def stop_at(monkeypatch, page: int, error: type[BaseException]) -> None:
	pages = RestConnector.pages

	def stopping(self, request):
		for number, one in enumerate(pages(self, request), 1):
			if number == page:
				raise error
			yield one

	monkeypatch.setattr(RestConnector, "pages", stopping)


def test_a_run_that_was_stopped_is_due_soon_and_goes_on(make_runtime, crm, monkeypatch):
	runtime = small_pages(make_runtime)
	with monkeypatch.context() as patch:
		stop_at(patch, 11, KeyboardInterrupt)
		with pytest.raises(KeyboardInterrupt):
			run_stream(runtime, STREAM)
	assert len(table(runtime, "full")) == 100
	assert runtime.now(ahead=1) < state(runtime)["next_run_at"] < runtime.now(ahead=300), "not in a day"
	row = run_stream(runtime, STREAM)
	assert (row["status"], row["fetched"], row["error"]) == ("Completed", 150, None)
	assert table(runtime, "full") == source(crm)
	assert state(runtime)["next_run_at"] > runtime.now(ahead=3600)


def test_a_run_that_failed_begins_at_the_beginning(make_runtime, crm, monkeypatch):
	runtime = small_pages(make_runtime)
	with monkeypatch.context() as patch:
		stop_at(patch, 11, ValueError)
		assert run_stream(runtime, STREAM)["status"] == "Failed"
	assert run_stream(runtime, STREAM)["fetched"] == 250


def test_what_was_mapped_otherwise_is_fetched_again(make_runtime, crm, monkeypatch):
	runtime = make_runtime(
		('pagination = "Page Number"', 'page_size = 10\npagination = "Page Number"'),
		('city = "city"', 'city = "email"'),
	)
	with monkeypatch.context() as patch:
		stop_at(patch, 11, KeyboardInterrupt)
		with pytest.raises(KeyboardInterrupt):
			run_stream(runtime, STREAM)
	runtime = small_pages(make_runtime)
	assert run_stream(runtime, STREAM)["fetched"] == 250
	assert table(runtime, "full") == source(crm)


def test_what_is_gone_is_found_by_a_run_that_goes_on(make_runtime, crm, monkeypatch):
	runtime = small_pages(make_runtime)
	run_stream(runtime, STREAM)
	with monkeypatch.context() as patch:
		stop_at(patch, 11, KeyboardInterrupt)
		with pytest.raises(KeyboardInterrupt):
			run_stream(runtime, STREAM)
	for id in ("CUST-000005", "CUST-000200"):
		crm.customers._rows.pop(id)
	run_stream(runtime, STREAM)
	assert run_stream(runtime, STREAM)["status"] == "Completed"
	assert table(runtime, "full") == source(crm)


def test_a_stream_that_is_stopped_again_and_again_waits_longer_each_time_and_never_its_turn(
	runtime, monkeypatch
):
	stop_at(monkeypatch, 1, KeyboardInterrupt)
	waits = []
	for _ in range(14):
		with pytest.raises(KeyboardInterrupt):
			run_stream(runtime, STREAM)
		waits.append(state(runtime)["next_run_at"])
	assert waits[3] > runtime.now(ahead=4 * 60)
	assert waits[-1] <= runtime.now(ahead=24 * 3600)


_KILLED = """
import sys
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sync import fetch_loop
from integration_hub.sync.run import run_stream
fetch_loop.KEEP_SECONDS = 0
run_stream(StandaloneRuntime(sys.argv[1]), sys.argv[2])
"""


def test_a_run_that_was_killed_goes_on_where_it_last_noted(make_runtime, crm):
	runtime = small_pages(make_runtime)
	crm.latency = 0.03
	process = subprocess.Popen([sys.executable, "-c", _KILLED, str(runtime.file.folder / "hub.toml"), STREAM])
	deadline = time.monotonic() + 60
	while len(table(runtime, "full")) < 100 and time.monotonic() < deadline:
		time.sleep(0.01)
	os.kill(process.pid, signal.SIGKILL)
	process.wait()
	crm.latency = 0
	runtime.db.execute("UPDATE `tabSync Log` SET `heartbeat_at` = %s", [runtime.now(ahead=-600)])
	assert close_silent_runs(runtime) == [STREAM] and STREAM in due_streams(runtime)
	row = run_stream(runtime, STREAM)
	assert row["status"] == "Completed" and row["fetched"] <= 160
	assert table(runtime, "full") == source(crm)


def test_all_streams_run_though_one_of_them_is_running_already(runtime, crm):
	with runtime.lock("sync:customers-cursor"):  # the first of them
		result = CliRunner().invoke(
			integration_hub, ["--config", str(runtime.file.folder / "hub.toml"), "sync"]
		)
	assert result.exit_code == 1
	assert "Running already, and not run here: customers-cursor." in result.output
	assert table(runtime, "full") == table(runtime, "incremental") == source(crm)
	assert table(runtime, "cursor") == []


def test_one_stream_that_cannot_begin_stops_no_other(runtime, crm):
	update(runtime.db, "Sync Settings", "customers-cursor", {"pagination": "Sometimes"})
	for extra in ([], ["--dry-run"]):
		command = ["--config", str(runtime.file.folder / "hub.toml"), "sync", *extra]
		result = CliRunner().invoke(integration_hub, command)
		assert result.exit_code == 1 and "Not completed: customers-cursor." in result.output
		assert "customers-full: " in result.output and "customers-incremental: " in result.output
