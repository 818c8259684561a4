"""A new stream is off until its first run, or until somebody switches it on: nothing of it runs while it is set up."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.runtime.status import lines
from integration_hub.runtime.worker import work_once
from integration_hub.stores.database import update
from integration_hub.stores.runtime import HubError
from integration_hub.stores.settings import settings_row
from integration_hub.sync.modes import Period
from integration_hub.sync.run import run_stream
from integration_hub.sync.schedule import due_streams, want

FULL = "customers-full"
SILENT = 'deletion_policy = "Delete"\nenabled = true\n', 'deletion_policy = "Delete"\n'
OFF = SILENT[0], 'deletion_policy = "Delete"\nenabled = false\n'


def enabled(runtime, name: str = FULL) -> int:
	return settings_row(runtime.db, "Sync Settings", name)["enabled"]


def ran(runtime) -> list[str]:
	return [row["stream"] for row in runtime.db.query("SELECT `stream` FROM `tabSync Log`")]


def command(runtime, *arguments: str):
	runner = CliRunner(env={"COLUMNS": "200"})
	return runner.invoke(integration_hub, ["--config", str(runtime.file.folder / "hub.toml"), *arguments])


@pytest.mark.parametrize("ask", ["schedule", "a route"])
def test_a_new_stream_does_not_run_by_itself(make_runtime, ask):
	runtime = make_runtime(SILENT)
	if ask == "a route":
		want(runtime, FULL)
	assert due_streams(runtime) == []
	assert work_once(runtime).runs == 0 and ran(runtime) == []


def test_its_first_run_switches_it_on(make_runtime):
	runtime = make_runtime(SILENT)
	assert run_stream(runtime, FULL)["status"] == "Completed"
	assert enabled(runtime) == 1
	update(runtime.db, "Sync Settings", FULL, {"next_run_at": runtime.now()})
	assert due_streams(runtime) == [FULL]


@pytest.mark.parametrize("arguments", [("sync",), ("sync", FULL)])
def test_a_sync_on_the_command_line_is_the_first_run(make_runtime, arguments):
	runtime = make_runtime(SILENT)
	said = command(runtime, *arguments)
	assert said.exit_code == 0 and f"{FULL} is on now" in said.output, said.output
	assert enabled(runtime) == 1


@pytest.mark.parametrize("arguments", [("sync", "--dry-run"), ("preview", FULL), ("status",)])
def test_looking_at_it_leaves_it_off(make_runtime, arguments):
	runtime = make_runtime(SILENT)
	assert command(runtime, *arguments).exit_code == 0
	assert enabled(runtime) == 0


def test_a_backfill_leaves_it_off_and_new(make_runtime):
	runtime = make_runtime(SILENT)
	run_stream(runtime, FULL, period=Period("2020-01-01T00:00:00Z", ""))
	assert enabled(runtime) == 0 and runtime.is_new(FULL)


def test_one_that_is_switched_off_is_not_switched_on_by_a_run(make_runtime):
	runtime = make_runtime(OFF)
	with pytest.raises(HubError, match="disabled"):
		run_stream(runtime, FULL)
	assert command(runtime, "sync", FULL).exit_code == 1
	assert "no enabled streams" in command(runtime, "sync").output
	assert enabled(runtime) == 0


def test_one_that_says_so_is_on_from_the_start(make_runtime):
	assert FULL in due_streams(make_runtime())


def test_it_stays_on_when_the_file_changes_and_off_when_the_file_says_so(make_runtime):
	runtime = make_runtime(SILENT)
	run_stream(runtime, FULL)
	assert enabled(make_runtime(SILENT, ('mode = "Full"', 'mode = "Full"\npage_size = 7'))) == 1
	assert enabled(make_runtime(OFF)) == 0
	assert enabled(make_runtime(SILENT)) == 0  # nobody has switched it on again


def test_it_is_said_what_is_off(make_runtime):
	runtime = make_runtime(SILENT)
	assert f"{FULL} is off until its first `integration-hub sync {FULL}`" in "\n".join(lines(runtime))
	assert f"{FULL} is off until" in command(runtime, "work", "--once").output
	run_stream(runtime, FULL)
	assert f"{FULL} is off" not in "\n".join(lines(runtime))


def test_init_says_so(tmp_path, monkeypatch):
	config = tmp_path / "hub/hub.toml"
	said = CliRunner().invoke(integration_hub, ["--config", str(config), "init"])
	assert said.exit_code == 0 and "off until its first" in said.output
	assert "off until its first" in config.read_text()
