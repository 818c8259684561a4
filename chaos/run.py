"""One run: a plan carried out in an arena, then settled and judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from chaos.arena import Arena
from chaos.leaks import leaks
from chaos.plan import Step, schedule
from chaos.report import Report
from chaos.rest import come_to_rest
from chaos.settle import settle
from chaos.stage import Stage
from chaos.verdict import verdicts

OpenStage = Callable[[Path], AbstractContextManager[Stage]]
_TICK = 0.05


def run(
	folder: Path,
	open_stage: OpenStage,
	*,
	seconds: float,
	seed: int,
	customers: int,
	verbose: bool,
	terminal: bool,
) -> bool:
	"""Run in an empty folder; print what happens; return whether all is right in the end."""
	report = Report(folder, seconds, verbose, terminal)
	arena = Arena(folder, customers, seed)
	with arena.open(), open_stage(folder) as stage, arena.peopled(stage):
		steps = schedule(seed, seconds, arena.targets())
		report.head(seed, customers, stage.place, list(arena.processes))
		arena.begin()
		report.start()
		_carry_out(arena, steps, seconds, report)
		report.settling()
		arena.calm_down()
		rest = come_to_rest(arena, report.resting)
		codes = arena.end()
		settled = settle(arena)
		found = [rest, *verdicts(arena, settled, codes), leaks(arena)]
		return report.end(arena, steps, found)


def _carry_out(arena: Arena, steps: Sequence[Step], seconds: float, report: Report) -> None:
	began, left = time.monotonic(), list(steps)
	while (now := time.monotonic() - began) < seconds:
		while left and left[0].at <= now:
			step = left.pop(0)
			report.fault(step)
			acted = time.monotonic()
			getattr(arena, step.action)(*step.arguments)
			report.took(step, time.monotonic() - acted)
		arena.tick()
		report.pulse(arena)
		time.sleep(_TICK)
