"""dlt in its best configuration (Arrow tables, a primary key, merged by it into a database of its own), and a race with it.

Both read the same CRM, by pages of 1,000, and merge by key: a first load, then the whole list again with a tenth of it
changed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import requests

from benchmarks.figures import ROUNDS, Figure
from integration_hub.sandbox.access import API_KEY

PAGE = 1000
DATASET = "hub_benchmark_dlt"
_DLT = f'''
import sys, time, dlt, pyarrow, requests
url, dsn, folder = sys.argv[1:]

key = {{"id": {{"data_type": "text", "precision": 140}}}}  # MariaDB indexes no text without a length

@dlt.resource(name="customer", primary_key="id", write_disposition="merge", columns=key)
def customers():
	with requests.Session() as session:
		session.headers["X-API-Key"] = "{API_KEY}"
		page, more = 1, True
		while more:
			answer = session.get(url + "/v1/customers/page", params={{"page": page, "limit": {PAGE}}}).json()
			yield pyarrow.Table.from_pylist(answer["data"])
			page, more = page + 1, answer["has_more"]

started = time.perf_counter()
destination = dlt.destinations.sqlalchemy(dsn, create_primary_keys=True)
pipeline = dlt.pipeline("peer", destination=destination, dataset_name="{DATASET}", pipelines_dir=folder)
pipeline.run(customers()).raise_on_failed_jobs()
print("seconds", time.perf_counter() - started)
'''


class Ours(Protocol):
	"""A Full stream of the same records."""

	name: str

	def clear(self) -> None:
		"""Remove what an earlier round has written."""

	def load(self) -> None:
		"""Run it in a process of its own."""

	def load_here(self) -> None:
		"""Run it in this one, as a worker does, which is there already."""

	def count(self) -> int:
		"""Count the documents there are."""


class Dlt:
	"""The peer. It keeps what it has loaded in a folder, as it would from one run to the next.

	dsn: where it writes. drop: removes what an earlier round has written. count: counts the rows there are.
	"""

	def __init__(
		self, folder: Path, url: str, dsn: str, drop: Callable[[], object], count: Callable[[], int]
	):
		self._folder, self._url, self._dsn, self._drop, self.count = folder, url, dsn, drop, count
		self._rounds = 0
		self._python = os.environ.get("HUB_BENCHMARK_DLT") or _environment(folder / "env")
		(folder / "peer.py").write_text(_DLT)

	def clear(self) -> None:
		self._rounds += 1
		self._drop()

	def load(self) -> float:
		"""Run it in a process of its own; return the seconds without the process' start."""
		state = str(self._folder / f"state-{self._rounds}")
		said = run([self._python, str(self._folder / "peer.py"), self._url, self._dsn, state])
		return float(said.split()[-1])


def race(ours: Ours, dlt: Dlt, url: str, count: int) -> Iterator[Figure]:
	"""Load `count` customers of the CRM at `url` with both by turns, so that both meet the same machine."""
	took: dict[str, list[float]] = {}

	def load(step: str) -> None:
		took.setdefault(f"{ours.name}, {step}", []).append(_timed(ours.load))
		started = time.perf_counter()
		alone = dlt.load()
		took.setdefault(f"dlt, {step}", []).append(time.perf_counter() - started)
		took.setdefault(f"dlt, {step}, without its start", []).append(alone)
		assert ours.count() == dlt.count() == count, (ours.count(), dlt.count())

	for _ in range(ROUNDS):
		ours.clear()
		dlt.clear()
		load("first load")
		requests.post(f"{url}/_sandbox/change", json={"update": count // 10}, timeout=60)
		load("again, 10% changed")
		ours.clear()
		took.setdefault(f"{ours.name}, first load, without its start", []).append(_timed(ours.load_here))
	medians = {name: statistics.median(rounds) for name, rounds in took.items()}
	yield from (Figure(name, count / seconds, "records/s") for name, seconds in medians.items())
	for step in ("first load", "again, 10% changed", "first load, without its start"):
		yield Figure(f"ours / dlt, {step}", medians[f"dlt, {step}"] / medians[f"{ours.name}, {step}"], "×")


def _timed(work: Callable[[], object]) -> float:
	started = time.perf_counter()
	work()
	return time.perf_counter() - started


def run(command: list[str]) -> str:
	"""Run a command; return what it printed. Raises RuntimeError with that where it fails."""
	done = subprocess.run(command, capture_output=True, text=True, check=False)
	if done.returncode:
		raise RuntimeError(
			f"{command[:4]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
		)
	return done.stdout


def _environment(folder: Path) -> str:
	"""Make dlt's own environment; return its Python."""
	print("Installing dlt into a temporary folder", flush=True)
	run([sys.executable, "-m", "venv", str(folder)])
	run([str(folder / "bin/pip"), "install", "-q", "dlt[sqlalchemy]", "pymysql", "pyarrow", "requests"])
	return str(folder / "bin/python")
