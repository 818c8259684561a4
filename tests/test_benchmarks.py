"""`make benchmark` runs, and says what got worse."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import record as records
from benchmarks.figures import Figure, percentiles
from benchmarks.highlights import LINES, highlights, rounded
from benchmarks.record import Record
from benchmarks.suite import SUITE

ROOT = Path(__file__).parent.parent
HERE = {"processor": "Abacus", "cores": "2"}


def kept(tmp_path, *figures: Figure) -> Record:
	record = Record(tmp_path / "results.json")
	record.put("sync_standalone", figures, HERE)
	return record


def test_what_is_over_a_fifth_worse_is_pointed_out(tmp_path):
	record = kept(tmp_path, Figure("rate", 100, "records/s"), Figure("p99", 10, "ms", "lower"))

	def worse(rate: float, p99: float, **there: str) -> list[str]:
		now = [Figure("rate", rate, "records/s"), Figure("p99", p99, "ms", "lower"), Figure("new", 1, "s")]
		return list(record.worse("sync_standalone", now, {**HERE, **there}))

	assert worse(81, 11.9) == [] == worse(200, 1)
	assert ["rate" in line for line in worse(79, 10)] == [True]
	assert ["p99" in line for line in worse(100, 12.1)] == [True]
	assert "not compared" in worse(1, 1000, processor="Other")[0]


def test_figures_are_kept_as_json_and_shown_in_the_page_whose_text_stays(tmp_path, monkeypatch):
	page = tmp_path / "performance.md"
	page.write_text("# Performance\n\nRead this first.\n")
	monkeypatch.setattr(records, "PAGE", page)
	record = kept(tmp_path, Figure("ours, first load", 12345, "records/s"))
	record.write()
	record.write()
	text = page.read_text()
	assert "Read this first." in text and text.count("| ours, first load | 12,345 records/s |") == 1
	assert "on Abacus; cores 2" in text
	assert Record(tmp_path / "results.json").kept == record.kept


def test_each_benchmark_is_a_module():
	for benchmark in SUITE:
		assert importlib.util.find_spec(f"benchmarks.{benchmark.name}"), benchmark.name


def test_a_quick_benchmark_runs_and_keeps_nothing():
	command = [sys.executable, "-m", "benchmarks", "--quick", "--write", "sync_standalone"]
	before = records.RESULTS.read_bytes() if records.RESULTS.exists() else None
	done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
	assert done.returncode == 0 and "benchmark: ok" in done.stdout, done.stdout + done.stderr
	assert "ours, nothing changed" in done.stdout
	assert (records.RESULTS.read_bytes() if records.RESULTS.exists() else None) == before


def test_percentiles():
	assert percentiles([n / 1000 for n in range(1, 101)]) == {"p50": 51, "p95": 96, "p99": 100}


def test_figures_of_another_database_are_kept_beside_those_of_mariadb(tmp_path, monkeypatch):
	monkeypatch.setattr(records, "PAGE", tmp_path / "performance.md")
	record = Record(tmp_path / "results.json")
	for name, rate in (
		("sync_on_site@PostgreSQL", 2),
		("orphans_on_site", 3),
		("sync_on_site", 1),
		("gone", 4),
	):
		record.put(name, [Figure("rate", rate, "records/s")], HERE)
	record.write()
	text = (tmp_path / "performance.md").read_text()
	titles = [line for line in text.splitlines() if line.startswith("###")]
	assert [title.endswith(": PostgreSQL") for title in titles] == [False, True, False]
	assert "`python -m benchmarks sync_on_site` on Abacus" in text


def test_the_page_is_made_of_the_figures_that_are_kept():
	page = records.PAGE.read_text()
	assert page == Record().page(page), "run: python -m benchmarks --write"
	assert len(re.findall(r"^\d+\. \*\*", page, re.MULTILINE)) == len(LINES) == 10


def test_a_line_without_its_figure_is_left_out():
	kept = {"queue_standalone": {"figures": [asdict(Figure("ours, List", 16386, "messages/s"))]}}
	assert highlights(kept) == ""
	kept["queue_standalone"]["figures"].append(asdict(Figure("ours, List / BRPOP", 6.89, "×")))
	assert highlights(kept).startswith(
		"1. **Queues**: a consumer takes 16,000 messages/s off a Redis list, 6.9 times"
	)


def test_a_figure_to_remember_has_two_digits():
	found = [rounded(value) for value in (23832, 831, 78.6, 15, 5.41, 0.344, 0)]
	assert found == ["24,000", "830", "79", "15", "5.4", "0.34", "0"]
