"""Which benchmarks there are, and how each is run: in a process of its own."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, environment, read

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Benchmark:
	"""A module of this package. site: it needs one; then its only argument is the site's name."""

	name: str
	about: str
	site: bool = False


SUITE = (
	Benchmark("connectors", "Fetching in lanes; how much of a shared budget is used"),
	Benchmark("sync_standalone", "Writing records, SQLite without a bench"),
	Benchmark("sync_million_standalone", "Writing 1,000,000 records, SQLite without a bench"),
	Benchmark("sync_memory", "Peak memory of a sync, SQLite without a bench"),
	Benchmark("receiver_standalone", "Acknowledging webhooks, SQLite without a bench"),
	Benchmark("queue_standalone", "Taking messages off a Redis list, SQLite without a bench"),
	Benchmark("inbox_lag", "From POST to Completed under a steady load, SQLite without a bench"),
	Benchmark("inbox_worst", "Sweeping and claiming where very many events wait, SQLite without a bench"),
	Benchmark("coverage", "Converting Airbyte's public manifests: how many become settings whole"),
	Benchmark("peers_standalone", "REST into SQLite, ours and dlt, without a bench"),
	Benchmark("sync_on_site", "Writing records, on a site", site=True),
	Benchmark("sync_million_on_site", "Writing 1,000,000 records, on a site", site=True),
	Benchmark("orphans_on_site", "Finding and removing what is gone, on a site", site=True),
	Benchmark(
		"outbound_save_on_site", "A user's save, with and without outbound streams, on a site", site=True
	),
	Benchmark("endpoints_on_site", "Acknowledging webhooks, on a site", site=True),
	Benchmark("inbox_drain", "Handling events, on a site", site=True),
	Benchmark("inbox_lag_on_site", "From POST to Completed under a steady load, on a site", site=True),
	Benchmark(
		"inbox_worst_on_site", "Sweeping and claiming where very many events wait, on a site", site=True
	),
	Benchmark("peers", "REST into MariaDB, ours and dlt, on a site", site=True),
)


_DATABASE = """
import sys, frappe
frappe.init(site=sys.argv[1])
frappe.connect()
name = {"mariadb": "MariaDB", "postgres": "PostgreSQL", "sqlite": "SQLite"}[frappe.db.db_type]
ask = "SELECT sqlite_version()" if name == "SQLite" else "SELECT version()"
print(name, frappe.db.sql(ask)[0][0], sep="\\n")
"""


@dataclass(frozen=True)
class Bench:
	"""A bench and one of its sites."""

	path: Path
	site: str

	def python(self, *arguments: str) -> tuple[list[str], dict[str, Path]]:
		"""Return a command of the bench's Python, and where it runs."""
		return [str(self.path / "env/bin/python"), *arguments], {"cwd": self.path / "sites"}

	def database(self) -> tuple[str, str]:
		"""Return the name and the version of the site's database. Raises CalledProcessError."""
		command, options = self.python("-c", _DATABASE, self.site)
		command, env = _as_owner(self.path, command, dict(os.environ))
		done = subprocess.run(command, env=env, check=True, capture_output=True, text=True, **options)
		name, version = done.stdout.strip().splitlines()[-2:]
		return name, version


def kept_as(benchmark: Benchmark, bench: Bench | None) -> str:
	"""Return what a benchmark's figures are kept as: by its name, and by the database of the site if it is another than
	MariaDB, `NAME@DATABASE`."""
	database = bench.database()[0] if bench and benchmark.site else "MariaDB"
	return benchmark.name if database == "MariaDB" else f"{benchmark.name}@{database}"


def run(benchmark: Benchmark, bench: Bench | None, quick: bool) -> list[Figure]:
	"""Run a benchmark, its output as it comes; return its figures. Raises CalledProcessError."""
	with tempfile.TemporaryDirectory() as folder:
		os.chmod(folder, 0o777)  # noqa: S103 - the bench's owner writes there
		file = Path(folder) / "figures.json"
		command, options = [sys.executable, "-m", f"benchmarks.{benchmark.name}"], {}
		env = {**os.environ, **environment(file, quick), "PYTHONPATH": str(ROOT)}
		if benchmark.site:
			command, options = bench.python(*command[1:], bench.site)
			command, env = _as_owner(bench.path, command, env)
		subprocess.run(command, env=env, check=True, **options)
		return read(file)


def _as_owner(bench: Path, command: list[str], env: dict[str, str]) -> tuple[list[str], dict[str, str]]:
	"""Return what runs a command as the bench's owner, where one is root."""
	owner = pwd.getpwnam((bench / "sites").owner())
	if os.geteuid() != 0 or owner.pw_uid == 0:
		return command, env
	prefix = ["setpriv", "--reuid", str(owner.pw_uid), "--regid", str(owner.pw_gid), "--init-groups"]
	return [*prefix, *command], {**env, "HOME": owner.pw_dir, "USER": owner.pw_name, "LOGNAME": owner.pw_name}
