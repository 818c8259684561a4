"""One run: a plan carried out in an environment, then settled and judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from chaos.convergence import converge
from chaos.deployment import Deployment
from chaos.environment import Environment
from chaos.fault_plan import Step, schedule
from chaos.leaks import leaks
from chaos.recovery import settle
from chaos.report import Report
from chaos.verdict import verdicts

OpenDeployment = Callable[[Path], AbstractContextManager[Deployment]]
_TICK = 0.05


def run(
	folder: Path,
	open_deployment: OpenDeployment,
	*,
	seconds: float,
	seed: int,
	customers: int,
	verbose: bool,
	terminal: bool,
) -> bool:
	"""Run in an empty folder; print what happens; return whether all is right in the end."""
	report = Report(folder, seconds, verbose, terminal)
	environment = Environment(folder, customers, seed)
	with environment.open(), open_deployment(folder) as deployment, environment.peopled(deployment):
		steps = schedule(seed, seconds, environment.targets())
		report.head(seed, customers, deployment.place, list(environment.processes))
		environment.begin()
		report.start()
		_carry_out(environment, steps, seconds, report)
		report.settling()
		environment.calm_down()
		rest = converge(environment, report.converging)
		codes = environment.end()
		settled = settle(environment)
		found = [rest, *verdicts(environment, settled, codes), leaks(environment)]
		return report.end(environment, steps, found)


def _carry_out(environment: Environment, steps: Sequence[Step], seconds: float, report: Report) -> None:
	began, left = time.monotonic(), list(steps)
	while (now := time.monotonic() - began) < seconds:
		while left and left[0].at <= now:
			step = left.pop(0)
			report.fault(step)
			acted = time.monotonic()
			getattr(environment, step.action)(*step.arguments)
			report.took(step, time.monotonic() - acted)
		environment.tick()
		report.pulse(environment)
		time.sleep(_TICK)
