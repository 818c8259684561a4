"""Processes that are killed, frozen, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos.effects import KILLED_BY_EVENT

_YOUNG, _NO_DATABASE = 15, "Can't connect to MySQL server"  # seconds; what one says who begins without it
_PATIENCE = 40  # seconds in which a process that is asked to stop has to have finished what it has in hand


@dataclass
class Fell:
	"""A process that ended though nobody had it end."""

	name: str
	code: int
	last: str


class Kept:
	"""One command, as a process (with those it starts) that is there as long as it is to be there."""

	def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str], cwd: Path):
		self.name, self._command, self._env, self._cwd = name, list(command), dict(env), cwd
		self.log = folder / f"{name}.log"
		self._process: subprocess.Popen | None = None
		self.kills = 0
		self._started = 0.0
		self.killed_by_events = 0

	@property
	def running(self) -> bool:
		return self._process is not None and self._process.poll() is None

	def start(self) -> None:
		if self.running:
			return
		self._started = time.monotonic()
		with self.log.open("a") as log:
			self._process = subprocess.Popen(
				self._command,
				env=self._env,
				cwd=self._cwd,
				stdin=subprocess.DEVNULL,
				stdout=log,
				stderr=log,
				start_new_session=True,
			)

	def kill(self) -> None:
		if self.running:
			self.kills += 1
		if self._process:
			self._signal(signal.SIGKILL)
			self._process.wait()
			self._process = None

	def freeze(self) -> None:
		self._signal(signal.SIGSTOP)

	def thaw(self) -> None:
		self._signal(signal.SIGCONT)

	def fell(self) -> Fell | None:
		"""Start it again if it has ended by itself; return how, unless an event was to kill it."""
		if self._process is None or self.running:
			return None
		code, self._process = self._process.returncode, None
		young = time.monotonic() - self._started < _YOUNG
		self.start()
		if code == KILLED_BY_EVENT:
			self.killed_by_events += 1
			return None
		if young and _NO_DATABASE in self.last_words():  # its supervisor starts it again, as we do
			return None
		return Fell(self.name, code, self.last_words())

	def stop(self) -> int:
		"""Ask it to end; return its exit code, -9 if it had to be killed."""
		if not self._process:
			return 0
		self.thaw()
		if self.running:
			self._process.terminate()
		try:
			return self._process.wait(_PATIENCE)
		except subprocess.TimeoutExpired:
			self._signal(signal.SIGKILL)
			return self._process.wait()
		finally:
			self._process = None

	def last_words(self) -> str:
		lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
		return "\n".join(lines[-15:])

	def _signal(self, number: int) -> None:
		if self._process:
			with suppress(ProcessLookupError):
				os.killpg(self._process.pid, number)
