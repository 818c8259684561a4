"""Upgrade a site: data made by the first release, `bench migrate` to this one, and a look at what became of it.

The first release is taken from the git history and really used (scripts/upgrade/use.py), rather than its rows kept
as a file: nobody has to trust that the file is what it would have left behind. Takes FRAPPE_BENCHES and the
variables of MariaDB that scripts/test_site.py names.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.benches import (
	APP,
	ROOT,
	Bench,
	Failed,
	app_on,
	await_port,
	benches,
	free_port,
	give,
	redis_running,
	step,
)
from scripts.sites import new_site

# The first commit that installs on a site with all doctypes. There are no tags.
FIRST = "95da8848fda5da9434ed79b2fe092894a1a3cc6a"


def has_history() -> bool:
	"""Tell whether the first release is in this repository: a shallow clone or an archive has none."""
	known = subprocess.run(["git", "cat-file", "-e", f"{FIRST}^{{commit}}"], cwd=ROOT, capture_output=True)
	return known.returncode == 0


def upgrades_on(bench: Bench) -> bool:
	"""Tell whether the upgrade can be tried on a bench: the first release knew Frappe v15."""
	return bench.version.startswith("15.") and has_history()


def upgrade(bench: Bench) -> str:
	"""Use the first release on a new site, migrate it to this one, and check what is there; say how it went.

	The bench has this checkout as its app.
	"""
	scripts = bench.path / "apps" / APP / "scripts/upgrade"
	with new_site(bench, "mariadb") as site, _first_release(bench) as first, _sandbox(bench) as url:
		kept = str(first.parent / "rows.json")
		then = {"PYTHONPATH": str(first)}  # before what the bench has installed
		step("install the first release", bench.frappe, "--site", site, "install-app", APP, **then)
		bench.frappe("--site", site, "integration-hub", "init", "--sandbox", url, **then)
		step("use it", bench.python, str(scripts / "use.py"), site, url, kept, **then)
		step("migrate", bench.frappe, "--site", site, "migrate")
		out = step("check", bench.python, str(scripts / "check.py"), site, url, kept)
	return out.strip().splitlines()[-1]


@contextmanager
def _first_release(bench: Bench) -> Iterator[Path]:
	"""Give a folder with the first release in it."""
	with tempfile.TemporaryDirectory(prefix="hub-first-", dir=bench.path) as folder:
		first = Path(folder) / "app"
		first.mkdir()
		packed = subprocess.run(["git", "archive", FIRST], cwd=ROOT, check=True, capture_output=True).stdout
		subprocess.run(["tar", "-x", "-C", str(first)], input=packed, check=True)
		give(Path(folder), bench.owner)
		yield first


@contextmanager
def _sandbox(bench: Bench) -> Iterator[str]:
	"""Run a sandbox that both releases meet; give its URL."""
	port = free_port()
	run = "from integration_hub.commands import main; main()"
	command = [bench.interpreter, "-c", run, "sandbox", "--port", str(port), "--customers", "250"]
	argv, env = bench.as_owner(*command)
	process = subprocess.Popen(argv, env=env, cwd=bench.path, stdout=subprocess.DEVNULL)
	try:
		await_port(port)
		yield f"http://127.0.0.1:{port}"
	finally:
		process.terminate()
		process.wait()


def main() -> int:
	bench = next(filter(upgrades_on, benches()), None)
	if bench is None:
		print("test-upgrade: no bench of v15 found, or no git history here")
		return 2
	started = time.monotonic()
	try:
		with redis_running(bench), app_on(bench):
			line = upgrade(bench)
	except Failed as error:
		print(f"test-upgrade: FAILED on {bench.path}: {error}")
		return 1
	print(f"test-upgrade: ok, {line} ({time.monotonic() - started:.0f} s)")
	return 0


if __name__ == "__main__":
	sys.exit(main())
