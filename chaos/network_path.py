"""A proxy in a process of its own: what it passes on does not wait for what else the run does."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


class NetworkPath:
	"""A chaos.proxy.Proxy to a port of this machine, with the same methods. cuts: connections that were cut."""

	def __init__(self, to: int):
		self.cuts = 0
		self._process = subprocess.Popen(
			[sys.executable, "-m", "chaos.proxy", str(to)],
			cwd=_ROOT,
			stdin=subprocess.PIPE,
			stdout=subprocess.PIPE,
			text=True,
			start_new_session=True,
		)
		self.port = int(self._process.stdout.readline())

	def cut(self, refuse: bool) -> None:
		self.cuts += int(self._say(f"cut {int(refuse)}"))

	def slow(self, delay: float) -> None:
		self._say(f"slow {delay}")

	def hang(self) -> None:
		self._say("hang")

	def clear(self) -> None:
		self._say("clear")

	def close(self) -> None:
		with suppress(OSError):
			self._process.stdin.close()  # it ends with what it is told by
		self._process.wait()

	def _say(self, line: str) -> str:
		self._process.stdin.write(f"{line}\n")
		self._process.stdin.flush()
		return self._process.stdout.readline()
