"""python -m fuzz [TARGET …]: fuzz each for a while, led by the branches it reaches; code 0 if nothing was found.

What is found is kept in a file, which `--again FILE` runs once more.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

_NAMES = ("signatures", "bodies", "paths", "waits", "pages")
_LONGEST = 4096  # bytes of an input
_HANG = 20  # seconds for one input
_MEMORY = 1024  # MB


def main() -> int:
	options = _options()
	if options.one:
		return _fuzz(options.one, options.seconds)
	if options.again:
		from fuzz.targets import TARGETS

		TARGETS[options.targets[0]](options.again.read_bytes())
		return 0
	failed = [name for name in options.targets or _NAMES if not _went_well(name, options.seconds)]
	print(f"fuzz: FAILED: {', '.join(failed)}" if failed else "fuzz: ok")
	return 1 if failed else 0


def _went_well(name: str, seconds: int) -> bool:
	"""Fuzz one target in a process of its own: libFuzzer ends the one it is in."""
	print(f"{name}, {seconds} s", flush=True)
	command = [sys.executable, "-m", "fuzz", "--one", name, "--seconds", str(seconds)]
	done = subprocess.run(command, capture_output=True, text=True, check=False)
	lines = (done.stdout + done.stderr).splitlines()
	what = [line for line in lines if not line.startswith("#")]  # how it went on
	print("\n".join(what[-40:] if done.returncode else what[-1:]), flush=True)
	return done.returncode == 0


def _fuzz(name: str, seconds: int) -> int:
	import atheris

	with atheris.instrument_imports(include=["integration_hub", "jmespath"]):
		from fuzz.targets import SEEDS, TARGETS
	with tempfile.TemporaryDirectory() as corpus:
		for number, seed in enumerate(SEEDS[name]):
			(Path(corpus) / str(number)).write_bytes(seed)
		limits = [f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-timeout={_HANG}"]
		limits += [f"-rss_limit_mb={_MEMORY}", "-verbosity=1", f"-artifact_prefix=fuzz-{name}-"]
		atheris.Setup([sys.argv[0], *limits, corpus], TARGETS[name])
		atheris.Fuzz()
	return 0


def _options() -> argparse.Namespace:
	parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
	parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(_NAMES)} (default all)")
	parser.add_argument("--seconds", type=int, default=30, help="for each (default 30)")
	parser.add_argument("--again", type=Path, metavar="FILE", help="run TARGET once, on what was found")
	parser.add_argument("--one", choices=_NAMES, help=argparse.SUPPRESS)
	options = parser.parse_args()
	if wrong := set(options.targets) - set(_NAMES):
		parser.error(f"no such target: {', '.join(sorted(wrong))}")
	if options.again and len(options.targets) != 1:
		parser.error("--again goes with one target")
	return options


if __name__ == "__main__":
	sys.exit(main())
