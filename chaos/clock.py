"""The clock of the run's processes, which may jump: a library made of clock.c that is preloaded into each of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")
_BYTES = 8


class Clocks:
	"""A clock for each process, by its name; none is right or wrong where there is no C compiler.

	farthest: the seconds by which one has been ahead. (libfaketime, which does the same, breaks Python's sleep.)
	"""

	def __init__(self, folder: Path):
		self._folder, self._library = folder, folder / "clock.so"
		self.farthest = 0
		folder.mkdir()
		self.there = sys.platform == "linux" and self._compile()

	def environment(self, name: str) -> dict[str, str]:
		"""Return what a process needs in its environment to have its clock by this one, which is right at first."""
		if not self.there:
			return {}
		self._file(name).write_bytes(bytes(_BYTES))
		return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._file(name))}

	def jump(self, names: Sequence[str], seconds: int) -> None:
		"""Have the clocks of processes be ahead by so much, 0 for right: at once, in all that they have started."""
		self.farthest = max(self.farthest, seconds)
		for name in names:
			with self._file(name).open("r+b", buffering=0) as file:
				file.write(seconds.to_bytes(_BYTES, sys.byteorder, signed=True))

	def put_right(self) -> None:
		self.jump([file.stem for file in self._folder.glob("*.clock")], 0)

	def _file(self, name: str) -> Path:
		return self._folder / f"{name}.clock"

	def _compile(self) -> bool:
		compiler = shutil.which("cc")
		command = [compiler or "", "-shared", "-fPIC", "-O2", "-o", str(self._library), str(_SOURCE)]
		return bool(compiler) and not subprocess.run(command, capture_output=True, check=False).returncode
