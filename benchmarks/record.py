"""Figures that are kept: benchmarks/results.json, and the tables of docs/performance.md that are made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.highlights import highlights
from benchmarks.suite import ROOT, SUITE

RESULTS = ROOT / "benchmarks/results.json"
PAGE = ROOT / "docs/performance.md"
BEGIN, END = "<!-- figures: python -m benchmarks --write -->", "<!-- /figures -->"
TOP, TOP_END = "<!-- highlights: python -m benchmarks --write -->", "<!-- /highlights -->"
_WORSE = 0.2


class Record:
	"""The kept figures, by benchmark, each with the machine it was measured on."""

	def __init__(self, path: Path = RESULTS):
		self._path = path
		self.kept: dict[str, dict] = json.loads(path.read_text()) if path.exists() else {}

	def worse(self, name: str, figures: Sequence[Figure], machine: Mapping[str, str]) -> Iterator[str]:
		"""Return a line for each figure that is over 20% worse than the kept one, of the same machine."""
		kept = self.kept.get(name)
		if not kept:
			return
		if any(kept["machine"].get(part) != machine.get(part) for part in ("processor", "cores")):
			yield f"  {name}: the kept figures are of another machine; not compared"
			return
		before = {figure["name"]: Figure(**figure) for figure in kept["figures"]}
		for figure in figures:
			old = before.get(figure.name)
			if old and (loss := _loss(old, figure)) > _WORSE:
				yield f"  WORSE by {loss:.0%}: {name}, {figure.name}: {figure}, was {old}"

	def put(self, name: str, figures: Sequence[Figure], machine: Mapping[str, str]) -> None:
		self.kept[name] = {"machine": dict(machine), "figures": [asdict(figure) for figure in figures]}

	def write(self) -> None:
		"""Write the file, and the tables into the page, whose other text stays."""
		order = [benchmark.name for benchmark in SUITE]
		known = [name for name in self.kept if _parts(name)[0] in order]
		known.sort(key=lambda name: (order.index(_parts(name)[0]), name))
		self.kept = {name: self.kept[name] for name in known}
		self._path.write_text(json.dumps(self.kept, indent="\t", ensure_ascii=False) + "\n")
		PAGE.write_text(self.page(PAGE.read_text() if PAGE.exists() else "# Performance\n"))

	def page(self, text: str) -> str:
		"""Return the page's text with its highlights, where it has a place for them, and its tables."""
		if BEGIN not in text:
			text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
		text = _between(text, TOP, TOP_END, f"\n\n{highlights(self.kept)}\n")
		return _between(text, BEGIN, END, f"\n{self.tables()}")

	def tables(self) -> str:
		"""Return the figures as Markdown, one table a benchmark, its machine named above it."""
		about = {benchmark.name: benchmark.about for benchmark in SUITE}
		parts = []
		for key, kept in self.kept.items():
			name, database = _parts(key)
			title = f"{about[name]}: {database}" if database else about[name]
			where = ", ".join(
				f"{key} {value}" for key, value in kept["machine"].items() if key != "processor"
			)
			rows = "".join(f"| {figure['name']} | {Figure(**figure)} |\n" for figure in kept["figures"])
			parts.append(
				f"\n### {title}\n\n`python -m benchmarks {name}` on {kept['machine']['processor']}; {where}.\n\n| | |\n|---|--:|\n{rows}"
			)
		return "".join(parts) + "\n"


def _between(text: str, begin: str, end: str, new: str) -> str:
	"""Return a text with what stands between two markers replaced, as it is where they are not there."""
	before, found, rest = text.partition(begin)
	return f"{before}{begin}{new}{end}{rest.partition(end)[2]}" if found else text


def _parts(name: str) -> tuple[str, str]:
	"""Return the benchmark and the database that figures are kept as (see suite.kept_as)."""
	benchmark, _, database = name.partition("@")
	return benchmark, database


def _loss(old: Figure, new: Figure) -> float:
	"""Return by how much a figure is worse, as a part of the old one; 0 if it is not."""
	if old.better == "neither" or not old.value or not new.value:
		return 0.0
	return 1 - new.value / old.value if old.better == "higher" else new.value / old.value - 1
