"""A new stream is off until its first run, or until somebody switches it on: nothing of it runs while it is set up."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.homes.status import lines
from integration_hub.homes.worker import work_once
from integration_hub.stores.database import update
from integration_hub.stores.home import HubError
from integration_hub.stores.settings import settings_row
from integration_hub.sync.modes import Period
from integration_hub.sync.run import run_stream
from integration_hub.sync.schedule import due_streams, want

FULL = "customers-full"
SILENT = 'deletion_policy = "Delete"\nenabled = true\n', 'deletion_policy = "Delete"\n'
OFF = SILENT[0], 'deletion_policy = "Delete"\nenabled = false\n'


def enabled(home, name: str = FULL) -> int:
	return settings_row(home.db, "Sync Settings", name)["enabled"]


def ran(home) -> list[str]:
	return [row["stream"] for row in home.db.query("SELECT `stream` FROM `tabSync Log`")]


def command(home, *arguments: str):
	runner = CliRunner(env={"COLUMNS": "200"})
	return runner.invoke(integration_hub, ["--config", str(home.file.folder / "hub.toml"), *arguments])


@pytest.mark.parametrize("ask", ["schedule", "a route"])
def test_a_new_stream_does_not_run_by_itself(make_home, ask):
	home = make_home(SILENT)
	if ask == "a route":
		want(home, FULL)
	assert due_streams(home) == []
	assert work_once(home).runs == 0 and ran(home) == []


def test_its_first_run_switches_it_on(make_home):
	home = make_home(SILENT)
	assert run_stream(home, FULL)["status"] == "Completed"
	assert enabled(home) == 1
	update(home.db, "Sync Settings", FULL, {"next_run_at": home.now()})
	assert due_streams(home) == [FULL]


@pytest.mark.parametrize("arguments", [("sync",), ("sync", FULL)])
def test_a_sync_on_the_command_line_is_the_first_run(make_home, arguments):
	home = make_home(SILENT)
	said = command(home, *arguments)
	assert said.exit_code == 0 and f"{FULL} is on now" in said.output, said.output
	assert enabled(home) == 1


@pytest.mark.parametrize("arguments", [("sync", "--dry-run"), ("preview", FULL), ("status",)])
def test_looking_at_it_leaves_it_off(make_home, arguments):
	home = make_home(SILENT)
	assert command(home, *arguments).exit_code == 0
	assert enabled(home) == 0


def test_a_backfill_leaves_it_off_and_new(make_home):
	home = make_home(SILENT)
	run_stream(home, FULL, period=Period("2020-01-01T00:00:00Z", ""))
	assert enabled(home) == 0 and home.is_new(FULL)


def test_one_that_is_switched_off_is_not_switched_on_by_a_run(make_home):
	home = make_home(OFF)
	with pytest.raises(HubError, match="disabled"):
		run_stream(home, FULL)
	assert command(home, "sync", FULL).exit_code == 1
	assert "no enabled streams" in command(home, "sync").output
	assert enabled(home) == 0


def test_one_that_says_so_is_on_from_the_start(make_home):
	assert FULL in due_streams(make_home())


def test_it_stays_on_when_the_file_changes_and_off_when_the_file_says_so(make_home):
	home = make_home(SILENT)
	run_stream(home, FULL)
	assert enabled(make_home(SILENT, ('mode = "Full"', 'mode = "Full"\npage_size = 7'))) == 1
	assert enabled(make_home(OFF)) == 0
	assert enabled(make_home(SILENT)) == 0  # nobody has switched it on again


def test_it_is_said_what_is_off(make_home):
	home = make_home(SILENT)
	assert f"{FULL} is off until its first `integration-hub sync {FULL}`" in "\n".join(lines(home))
	assert f"{FULL} is off until" in command(home, "work", "--once").output
	run_stream(home, FULL)
	assert f"{FULL} is off" not in "\n".join(lines(home))


def test_init_says_so(tmp_path, monkeypatch):
	config = tmp_path / "hub/hub.toml"
	said = CliRunner().invoke(integration_hub, ["--config", str(config), "init"])
	assert said.exit_code == 0 and "off until its first" in said.output
	assert "off until its first" in config.read_text()
