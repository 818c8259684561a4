"""What a benchmark measured, and how it is handed on: printed, and as JSON to who has started it."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

QUICK = bool(os.environ.get("HUB_BENCHMARK_QUICK"))  # to see that it runs: its figures mean nothing
_FILE = "HUB_BENCHMARK_FILE"
ROUNDS = 1 if QUICK else 5


@dataclass(frozen=True)
class Figure:
	"""One measured value. better: which way is good; "neither" for what only describes."""

	name: str
	value: float
	unit: str
	better: Literal["higher", "lower", "neither"] = "higher"

	def __str__(self) -> str:
		return f"{self.value:,.{digits(self.value)}f} {self.unit}"


def digits(value: float) -> int:
	"""Return how many decimal places a value is worth."""
	return 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2


def size(whole: int, quick: int) -> int:
	return quick if QUICK else whole


def median_seconds(*steps: tuple[Callable[[], object], bool], rounds: int = ROUNDS) -> float:
	"""Return the median of the seconds that steps take; those marked False prepare and are not timed."""
	took = []
	for _ in range(rounds):
		seconds = 0.0
		for step, timed in steps:
			started = time.perf_counter()
			step()
			seconds += (time.perf_counter() - started) * timed
		took.append(seconds)
	return statistics.median(took)


def percentiles(took: Sequence[float]) -> dict[str, float]:
	"""Return p50, p95 and p99 of some seconds, in milliseconds."""
	found = sorted(took)
	return {f"p{p}": found[min(int(len(found) * p / 100), len(found) - 1)] * 1000 for p in (50, 95, 99)}


def say(figures: Sequence[Figure]) -> None:
	"""Print figures, and write them where `python -m benchmarks` wants them."""
	for figure in figures:
		print(f"{figure.name:<52} {figure!s:>20}", flush=True)
	if file := os.environ.get(_FILE):
		Path(file).write_text(json.dumps([asdict(figure) for figure in figures]))


def environment(file: Path, quick: bool) -> dict[str, str]:
	"""Return what a benchmark's process is told by its environment."""
	return {_FILE: str(file), **({"HUB_BENCHMARK_QUICK": "1"} if quick else {})}


def read(file: Path) -> list[Figure]:
	"""Return the figures a benchmark's process has written."""
	return [Figure(**figure) for figure in json.loads(file.read_text())]
