"""What figures were measured on: enough to compare, nothing that names a host."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path

from benchmarks.suite import Bench


def machine(bench: Bench | None) -> dict[str, str]:
	"""Return processor, cores, memory and versions."""
	found = {
		"processor": _processor(),
		"cores": str(os.cpu_count()),
		"memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB",
		"Python": platform.python_version(),
		"SQLite": sqlite3.sqlite_version,
	}
	if bench:
		text = (bench.path / "apps/frappe/frappe/__init__.py").read_text()
		found["Frappe"] = next(
			line.split('"')[1] for line in text.splitlines() if line.startswith("__version__")
		)
		name, version = bench.database()
		found[name] = version
	return found


def _processor() -> str:
	try:
		lines = Path("/proc/cpuinfo").read_text().splitlines()
	except OSError:
		return platform.processor() or platform.machine()
	return next(
		(line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
		platform.machine(),
	)
