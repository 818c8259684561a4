"""The report of a run, for a terminal or a log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from chaos.environment import Environment
from chaos.fault_plan import Step
from chaos.verdict import Verdict

_WIDE = 48
_LONG = 2.0  # seconds for one step
_EVERY = 10.0  # seconds between lines where they cannot be overwritten


class Report:
	"""Each fault goes to chaos.log; to the terminal, too, if `verbose`."""

	def __init__(self, folder: Path, seconds: float, verbose: bool, terminal: bool):
		self._log = (folder / "chaos.log").open("w", buffering=1)
		self._seconds, self._verbose, self._terminal = seconds, verbose, terminal
		self._began, self._told, self._faults, self._last = time.monotonic(), 0.0, 0, ""

	def head(self, seed: int, customers: int, place: str, processes: Sequence[str]) -> None:
		self._say(
			click.style("Integration Hub: chaos", bold=True)
			+ f", seed {seed}, {_clock(self._seconds)}, {place}."
		)
		self._say(
			f"A CRM of {customers} customers behind a proxy, Redis of its own; {', '.join(processes)}.\n"
		)

	def start(self) -> None:
		self._began = time.monotonic()

	def fault(self, step: Step) -> None:
		if not step.does:
			return
		self._faults, self._last = self._faults + 1, step.does
		line = f"{_clock(step.at)}  {step.does}"
		self._log.write(f"{line}\n")
		if self._verbose:
			self._wipe()
			click.echo(click.style(line, dim=True))

	def took(self, step: Step, seconds: float) -> None:
		"""Note what the machine made the run wait for."""
		if seconds > _LONG:
			self._log.write(f"({step.action} took {seconds:.1f} s)\n")

	def pulse(self, environment: Environment) -> None:
		"""Tell how it goes."""
		counts = environment.ledger.counts
		self._note(
			f"{_clock(time.monotonic() - self._began)} of {_clock(self._seconds)}  {self._faults} faults, "
			f"{counts['effects'] + counts['news']:,} events, {counts['on the list'] + counts['on the stream']:,} messages",
			self._last[:60],
		)

	def settling(self) -> None:
		self._wipe()
		click.echo(f"{_clock(time.monotonic() - self._began)}  no more faults; what is left is handled")

	def converging(self, left: str) -> None:
		"""Tell what is still to be handled."""
		self._note(f"{_clock(time.monotonic() - self._began)}  {left}")

	def end(self, environment: Environment, steps: Sequence[Step], verdicts: Sequence[Verdict]) -> bool:
		"""Print what was done and what came of it; return whether all is right."""
		self._say("")
		self._table("What was done", _done(environment, steps))
		self._table(
			"What was sent",
			[(kind, f"{count:,}") for kind, count in sorted(environment.ledger.counts.items())],
		)
		self._say(click.style("What came of it", bold=True))
		for verdict in verdicts:
			self._say(_line(verdict))
		right = all(verdict.right for verdict in verdicts)
		for fell in environment.fell:
			self._say(f"\n{fell.name} ended with {fell.code}; its last words:\n{fell.last}")
		self._say("\n" + ("chaos: ok" if right else "chaos: FAILED"))
		return right

	def _note(self, line: str, more: str = "") -> None:
		"""Print what counts for the moment: on one line that is written over, else now and then."""
		now = time.monotonic()
		if now - self._told < (0.2 if self._terminal else _EVERY):
			return
		self._told = now
		if self._terminal:
			click.echo(f"\r\x1b[K{line}  {click.style(more, dim=True)}", nl=False)
		else:
			click.echo(line)

	def _table(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
		self._say(click.style(title, bold=True))
		for name, value in rows:
			self._say(f"  {name:<{_WIDE}} {value:>8}")
		self._say("")

	def _say(self, line: str) -> None:
		self._wipe()
		click.echo(line)
		self._log.write(f"{click.unstyle(line)}\n")

	def _wipe(self) -> None:
		if self._terminal:
			click.echo("\r\x1b[K", nl=False)


def _line(verdict: Verdict) -> str:
	word, colour = ("ok", "green") if verdict.right else ("WRONG", "red")
	return f"  {click.style(f'{word:<6}', fg=colour)}{verdict.what:<{_WIDE}} {verdict.found}"


def _done(environment: Environment, steps: Sequence[Step]) -> list[tuple[str, str]]:
	"""Return the faults by kind, and the processes that were killed."""
	kinds: dict[str, int] = {}
	for step in steps:
		if step.does:
			kinds[step.action] = kinds.get(step.action, 0) + 1
	rows = [(_NAMES.get(kind, kind.replace("_", " ")), f"{count:,}") for kind, count in sorted(kinds.items())]
	by_events = sum(process.killed_by_events for process in environment.processes.values())
	met = {kind: count for kind, count in environment.crm.faults.met.items() if count}
	met["429"] = environment.crm.budget.refused
	rows.append(("workers killed by an event", f"{by_events:,}"))
	fallen = sum(process.fallen for process in environment.processes.values())
	rows.append(("processes that fell with what they need", f"{fallen:,}"))
	rows += [(f"answers of the CRM: {kind}", f"{count:,}") for kind, count in met.items() if count]
	rows.append(
		(
			"connections cut",
			f"{sum(network_path.cuts for network_path in environment.network_paths.values()):,}",
		)
	)
	return rows


_NAMES = {
	"kill": "processes killed",
	"kill_job": "jobs killed",
	"kill_alone": "workers killed, whose jobs went on",
	"disconnect": "database connections killed",
	"freeze": "processes frozen",
	"stop_redis": "Redis stopped",
	"stop_database": "MariaDB stopped",
	"cut": "ways cut",
	"slow": "ways slowed",
	"hang": "ways silent",
	"storm": "storms of one fault in the CRM",
	"budget": "request budget squeezed",
	"revoke_tokens": "all tokens revoked",
	"expire_feed": "change feed forgotten",
	"spoil_page": "pages of bad records",
	"move_clock": "jumps of the CRM's clock",
	"clock_from_the_future": "CRM's clock days in the future",
	"crowd": "crowds of slow connections",
	"jump": "clocks of the hub hours ahead, and back",
	"time_passes": "quarters of an hour passed",
}


def _clock(seconds: float) -> str:
	return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"
