"""Processes that are killed, frozen, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos.deployment import Command
from chaos.effects import KILLED_BY_EVENT

_YOUNG = 15  # seconds
_NO_DATABASE = (
	"Can't connect to MySQL server",
	"Lost connection to MySQL server",
)  # says who begins without it
_PATIENCE = (
	40  # seconds in which a process that is asked to stop has to have finished what it has in progress
)


@dataclass
class Fell:
	"""A process that ended though nobody had it end."""

	name: str
	code: int
	last: str


class Kept:
	"""One command, as a process (with those it starts) that is there as long as it is to be there."""

	def __init__(self, name: str, command: Command, folder: Path, env: Mapping[str, str], cwd: Path):
		self.name, self.command, self._env, self._cwd = name, command, dict(env), cwd
		self.log = folder / f"{name}.log"
		self._process: subprocess.Popen | None = None
		self._orphans: set[int] = set()
		self._started = 0.0
		self._young = False
		self.starts = self.kills = self.killed_by_events = self.fallen = 0

	@property
	def running(self) -> bool:
		return self._process is not None and self._process.poll() is None

	def start(self) -> None:
		if self.running:
			return
		self._started, self.starts = time.monotonic(), self.starts + 1
		with self.log.open("a") as log:
			self._process = subprocess.Popen(
				self.command.line,
				env=self._env,
				cwd=self._cwd,
				stdin=subprocess.DEVNULL,
				stdout=log,
				stderr=log,
				start_new_session=True,
			)

	def kill(self) -> None:
		"""Kill it with all it has started."""
		if self.running:
			self.kills += 1
		if self._process:
			self._signal(signal.SIGKILL)
			self._process.wait()
			self._process = None

	def kill_alone(self) -> None:
		"""Kill it, and let what it has started go on."""
		if self.running:
			self.kills += 1
			self.thaw()
			self._orphans.update(descendants(self._process.pid))
			self._process.kill()
			self._process.wait()
			self._process = None

	def kill_job(self) -> None:
		"""Kill what it has started, not itself."""
		for pid in descendants(self._process.pid) if self.running else ():
			_kill(pid, signal.SIGKILL)

	def end_orphans(self) -> None:
		"""Kill what is left of those who were killed alone."""
		for pid in self._orphans:
			if str(self._cwd) == _cwd(pid):  # and not another's, who has got its number since
				_kill(pid, signal.SIGKILL)
		self._orphans.clear()

	def freeze(self) -> None:
		self._signal(signal.SIGSTOP)

	def thaw(self) -> None:
		self._signal(signal.SIGCONT)

	def fell(self) -> Fell | None:
		"""Start it again if it has ended by itself; return how, unless it may, or an event was to kill it."""
		if self._process is None or self.running:
			return None
		code, self._process = self._process.returncode, None
		young = time.monotonic() - self._started < _YOUNG
		self.start()
		if code == KILLED_BY_EVENT:
			self.killed_by_events += 1
			return None
		self.fallen += 1
		words = self.last_words()
		if young and any(text in words for text in _NO_DATABASE):
			return None  # its supervisor starts it again, as we do
		return Fell(self.name, code, words) if self.command.ours else None

	def ask_to_stop(self) -> None:
		self.thaw()
		if self.running:
			self._young = time.monotonic() - self._started < _YOUNG
			self._process.terminate()

	def stop(self) -> int:
		"""Wait for the end it was asked for; return its exit code, -9 if it had to be killed.

		One that was asked while it still began, before it listens to that, ends as well as it can.
		"""
		if not self._process:
			return 0
		try:
			code = self._process.wait(_PATIENCE)
			return 0 if self._young and code == -signal.SIGTERM else code
		except subprocess.TimeoutExpired:
			self._signal(signal.SIGKILL)
			return self._process.wait()
		finally:
			self._process = None

	def last_words(self) -> str:
		lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
		return "\n".join(lines[-15:])

	def _signal(self, number: int) -> None:
		"""Signal it and all it has started: its group, and those that have left it."""
		if self._process:
			others = descendants(self._process.pid)
			with suppress(ProcessLookupError):
				os.killpg(self._process.pid, number)
			for pid in others:
				_kill(pid, number)


def descendants(pid: int) -> list[int]:
	"""Return the processes that a process has started, and those that they have; on Linux."""
	children: dict[int, list[int]] = {}
	for entry in Path("/proc").glob("[0-9]*/stat"):
		with suppress(OSError):
			parent = int(entry.read_text().rpartition(")")[2].split()[1])
			children.setdefault(parent, []).append(int(entry.parent.name))
	found, look = [], [pid]
	while look:
		began = children.get(look.pop(), [])
		found += began
		look += began
	return found


def _cwd(pid: int) -> str:
	with suppress(OSError):
		return os.readlink(f"/proc/{pid}/cwd")
	return ""


def _kill(pid: int, number: int) -> None:
	with suppress(ProcessLookupError, PermissionError):
		os.kill(pid, number)
