"""Singer taps: pages up to a STATE, committed with it; and a tap that misbehaves harms nothing but its own run."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.stores.runtime import HubError
from integration_hub.sync.run import run_stream

TAP = Path(__file__).parent / "misbehaving_tap.py"
SECRET = "hunter2-is-secret"
HUB = """
[taps.shop]
command = ["{python}", "{tap}", "{behavior}"]
{more}

[taps.shop.environment]
TOKEN = "env:TAP_TOKEN"
COUNT = "{count}"
MARK = "{mark}"

[integration.shop]
connector = "Singer"
base_url = "tap:shop"
breaker_threshold = 0
max_attempts = 1

[stream.things]
integration = "shop"
mode = "{mode}"
endpoint = "things"
{stream}
target_doctype = "Thing"
deletion_policy = "Delete"
max_delete_percent = 100

[stream.things.mapping]
thing = "id"
name_value = "name"

[table.Thing]
thing = "Data"
name_value = "Data"
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
	"""Run the tap with a behavior; returns the run, and what is in the table."""
	monkeypatch.setenv("TAP_TOKEN", SECRET)

	def run(
		behavior: str, more: str = "", stream: str = "", mode: str = "Full", count: int = 4
	) -> tuple[Any, list[str]]:
		(tmp_path / "hub.toml").write_text(
			HUB.format(
				python=sys.executable,
				tap=TAP,
				behavior=behavior,
				more=more,
				count=count,
				mark=tmp_path / "mark",
				mode=mode,
				stream=stream,
			)
		)
		with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
			done = run_stream(runtime, "things")
			rows = runtime.db.query(
				"SELECT `thing`, `name_value` FROM `tabThing` ORDER BY CAST(`thing` AS INTEGER)"
			)
			run.names = [row["name_value"] for row in rows]
			return done, [row["thing"] for row in rows]

	return run


def numbers(last: int, first: int = 1) -> list[str]:
	return [str(n) for n in range(first, last + 1)]


def test_records_of_one_stream_arrive_and_other_streams_do_not(run: Any) -> None:
	done, things = run("good")
	assert (done["status"], done["created"], things) == ("Completed", 7, numbers(7))
	assert "ACTIVATE_VERSION" in done["error"]  # the list is not known to be whole


def test_a_state_is_where_the_next_run_goes_on(run: Any) -> None:
	stream = 'pagination = "Cursor"'
	first, things = run("good", mode="Cursor", stream=stream)
	second, _things = run("good", mode="Cursor", stream=stream)
	assert second["status"] == "Completed", second["error"]
	assert (first["created"], second["fetched"], things) == (7, 0, numbers(7)), (
		first["error"],
		second["error"],
	)


def test_only_a_list_that_ends_with_its_version_tells_what_is_gone(run: Any) -> None:
	run("whole", count=4)
	done, things = run("begun_only")
	assert (done["deleted"], things) == (0, numbers(4))
	done, things = run("whole", count=3)
	assert (done["deleted"], things) == (1, numbers(3)), done["error"]


def test_without_a_state_records_come_in_pages_all_the_same(run: Any) -> None:
	done, things = run("no_state", more="record_limit = 10")
	assert (done["status"], things) == ("Completed", numbers(25))


def test_a_state_before_all_records_is_kept(run: Any) -> None:
	assert run("state_first")[1] == ["1"]


def test_a_tap_that_dies_leaves_what_its_states_cover(run: Any) -> None:
	done, things = run("dies")
	assert (done["status"], things) == ("Failed", numbers(3))
	assert "ended with -9" in done["error"]


@pytest.mark.parametrize(
	("behavior", "said"),
	[
		("garbage", "no JSON"),
		("binary", "no JSON"),
		("wrong_types", "without a stream or an object"),
		("no_stream", "without a stream or an object"),
		("a_list", "no object"),
		("not_a_number", "no JSON"),
		("batch", "'BATCH'"),
		("huge", "16,000,000 bytes"),
		("memory", "ended with"),
		("secret_state", "STATE"),
	],
)
def test_what_is_not_singers_fails_the_run_and_says_why(run: Any, behavior: str, said: str) -> None:
	done, things = run(behavior)
	assert done["status"] == "Failed" and said in done["error"], done["error"]
	assert things == (["1"] if behavior == "garbage" else [])
	assert SECRET not in done["error"]


def test_a_tap_that_hangs_is_stopped(run: Any) -> None:
	began = time.monotonic()
	done, things = run("hang", more="seconds = 2")
	assert (done["status"], things) == ("Failed", []) and "2 seconds" in done["error"]
	assert time.monotonic() - began < 60


def test_what_a_tap_has_started_ends_with_it(run: Any, tmp_path: Path) -> None:
	done, things = run("fork")
	assert (done["status"], things) == ("Completed", ["1"])
	children = [int(path.name.rpartition("-")[2]) for path in tmp_path.glob("mark-*")]
	deadline = time.monotonic() + 30
	while any(_is_alive(child) for child in children) and time.monotonic() < deadline:
		time.sleep(0.05)
	assert len(children) == 3 and not any(_is_alive(child) for child in children)


def _is_alive(process: int) -> bool:
	try:
		return Path(f"/proc/{process}/stat").read_text().split()[2] not in ("Z", "X")
	except (FileNotFoundError, ProcessLookupError):
		return False


def test_secrets_on_stderr_are_masked(run: Any, tmp_path: Path) -> None:
	(tmp_path / "tap.json").write_text('{"password": "correct-horse-battery"}')
	done, _things = run("secrets", more='config = "tap.json"')
	assert "could not log in" in done["error"] and "ended with 3" in done["error"]
	assert SECRET not in done["error"] and "correct-horse" not in done["error"]


def test_a_tap_knows_nothing_of_our_environment(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
	monkeypatch.setenv("DATABASE_PASSWORD", "x")
	run("environment")
	known = set(run.names[0].split(",")) - {"LC_CTYPE", "PYTHONPATH"}
	assert known == {"COUNT", "HOME", "LANG", "MARK", "PATH", "TMPDIR", "TOKEN"}
	assert "DATABASE_PASSWORD" in os.environ


@pytest.mark.parametrize(
	("more", "said"),
	[
		("seconds = 0", "seconds"),
		('shell = "x"', "shell"),
		("config = 1", "config"),
		("megabytes = true", "megabytes"),
	],
)
def test_a_registration_that_cannot_work_is_refused(run: Any, more: str, said: str) -> None:
	with pytest.raises(HubError, match=said):
		run("good", more=more)


def test_a_tap_that_is_not_there_fails_with_its_name(run: Any, tmp_path: Path) -> None:
	run("good")
	text = (tmp_path / "hub.toml").read_text()
	for old, new, said in (
		("tap:shop", "tap:other", "no tap 'other'"),
		(sys.executable, "/nowhere/tap-x", "tap-x cannot be started"),
	):
		(tmp_path / "hub.toml").write_text(text.replace(old, new))
		with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
			done = run_stream(runtime, "things")
			assert done["status"] == "Failed" and said in done["error"], done["error"]
