"""python -m benchmarks: what it costs, and whether it costs more than it did.

Each benchmark runs in a process of its own. Without a bench, those that need none; with FRAPPE_BENCH and SITE (or
--bench, --site) all. A figure over 20% worse than the kept one is pointed out, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.record import Record
from benchmarks.suite import SUITE, Bench, Benchmark, kept_as, run


def main() -> int:
	options = _options()
	bench = Bench(Path(options.bench).expanduser().resolve(), options.site) if options.site else None
	chosen = [b for b in SUITE if b.name in options.names] if options.names else list(SUITE)
	record, worse, failed = Record(), [], []
	for benchmark in chosen:
		if benchmark.site and not bench:
			print(f"\n{benchmark.about} ({benchmark.name}): left out, it needs a site")
			continue
		print(f"\n{benchmark.about} ({benchmark.name})", flush=True)
		try:
			figures = run(benchmark, bench, options.quick)
		except subprocess.CalledProcessError as error:
			failed.append(f"  {benchmark.name} ended with {error.returncode}")
			continue
		here = machine(bench if benchmark.site else None)
		if not options.quick:
			name = kept_as(benchmark, bench)
			worse += record.worse(name, figures, here)
			record.put(name, figures, here)
	if options.write and not options.quick:
		record.write()
	return _end(worse, failed, options.quick)


def _end(worse: list[str], failed: list[str], quick: bool) -> int:
	print()
	for line in (*worse, *failed):
		print(line)
	if quick:
		print("Quick: the figures show that it runs, and nothing else.")
	bad = failed or [line for line in worse if "WORSE" in line]
	print("benchmark: FAILED" if failed else "benchmark: WORSE" if bad else "benchmark: ok")
	return 1 if bad else 0


def _options() -> argparse.Namespace:
	names = [benchmark.name for benchmark in SUITE]
	parser = argparse.ArgumentParser(
		prog="python -m benchmarks",
		description=__doc__,
		epilog="\n".join(_line(benchmark) for benchmark in SUITE),
		formatter_class=argparse.RawDescriptionHelpFormatter,
	)
	parser.add_argument("names", nargs="*", metavar="NAME", help="some of those below; all without")
	parser.add_argument("--quick", action="store_true", help="few records, one round: does it run?")
	parser.add_argument(
		"--write", action="store_true", help="keep the figures: results.json, docs/performance.md"
	)
	parser.add_argument("--bench", default=os.environ.get("FRAPPE_BENCH", ""), help="or FRAPPE_BENCH")
	parser.add_argument("--site", default=os.environ.get("SITE", ""), help="or SITE")
	options = parser.parse_args()
	if unknown := set(options.names) - set(names):
		parser.error(f"{', '.join(sorted(unknown))}: no such benchmark")
	if bool(options.bench) != bool(options.site):
		parser.error("a bench and a site go together")
	return options


def _line(benchmark: Benchmark) -> str:
	return f"  {benchmark.name:<16} {benchmark.about}"


if __name__ == "__main__":
	sys.exit(main())
