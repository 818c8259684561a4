"""The demo is the first thing that anybody runs."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub


def demo(*words: str) -> str:
	result = CliRunner().invoke(
		integration_hub, ["demo", "--customers", "200", *words], env={"COLUMNS": "80"}
	)
	assert result.exit_code == 0, result.output
	assert "demo: ok" in result.output
	return result.output


def table(output: str) -> list[str]:
	"""Return the lines of the table's rows."""
	_, _, rows = output.partition("────")
	return [line.strip() for line in rows.splitlines()[1:] if line.strip() and "demo:" not in line]


@pytest.mark.slow
def test_the_demo_ends_well_and_each_of_its_rows_is_a_line_of_eighty_columns():
	rows = table(demo())
	assert len(rows) > 15
	assert [row for row in rows if not row.endswith(" ok")] == []


@contextmanager
def broken_redis():
	raise RuntimeError("redis-server ended with 127.")
	yield


@pytest.mark.parametrize(
	("name", "put"), [("redis_binary", lambda: None), ("redis_server", broken_redis)], ids=["none", "broken"]
)
def test_without_a_redis_that_runs_it_says_that_it_left_the_queue_out_and_ends_well(monkeypatch, name, put):
	monkeypatch.setattr(f"integration_hub.demo.{name}", put)
	rows = table(demo())
	assert [row for row in rows if row.startswith("Redis queue") and "left out" in row]
	assert not [row for row in rows if row.startswith("Inbox (Queue)")]
