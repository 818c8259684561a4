"""Run the site tests on each bench: on a site made for the run, from install to a clean uninstall.

FRAPPE_BENCHES names the benches (paths, separated by colons or spaces); without it the usual places are
searched. FRAPPE_DB_ROOT_USERNAME and FRAPPE_DB_ROOT_PASSWORD are MariaDB's, where the script cannot make an
administrator of its own over the socket. A bench keeps everything else it has as it was.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APP = "integration_hub"
ADMIN_PASSWORD = "admin"  # noqa: S105 - of a site that lives for one run
DB_USER = "hub_test_root"


class Failed(Exception):
	"""A step did not go as it should."""


@dataclass(frozen=True)
class Bench:
	path: Path

	@property
	def owner(self) -> str:
		return self.path.joinpath("sites").owner()

	@property
	def owner_path(self) -> str:
		"""Where the owner's own commands are."""
		home = Path(pwd.getpwnam(self.owner).pw_dir)
		return ":".join(str(path) for path in (home / ".local/bin", *sorted(home.glob("*env*/bin"))))

	@property
	def version(self) -> str:
		text = (self.path / "apps/frappe/frappe/__init__.py").read_text()
		return next(line.split('"')[1] for line in text.splitlines() if line.startswith("__version__"))

	@property
	def databases(self) -> list[str]:
		sqlite = (self.path / "apps/frappe/frappe/database/sqlite").is_dir()
		chosen = os.environ.get("SITE_DATABASES", "mariadb sqlite" if sqlite else "mariadb").split()
		return [name for name in chosen if name != "sqlite" or sqlite]

	def run(self, *command: str, cwd: Path | None = None, show: bool = False, timeout: int = 1500) -> str:
		"""Run a command as the bench's owner; raises Failed with its last lines."""
		prefix: list[str] = []
		env = {**os.environ}
		env.pop("VIRTUAL_ENV", None)
		env.pop("CI", None)  # Frappe takes CI for its own pipeline
		owner = pwd.getpwnam(self.owner)
		if os.geteuid() == 0 and owner.pw_uid != 0:
			prefix = ["setpriv", "--reuid", str(owner.pw_uid), "--regid", str(owner.pw_gid), "--init-groups"]
			env |= {"HOME": owner.pw_dir, "USER": owner.pw_name, "LOGNAME": owner.pw_name}
			env.pop("XDG_CONFIG_HOME", None)
		env["PATH"] = f"{owner.pw_dir}/.local/bin:{env.get('PATH', '')}:/usr/local/bin"
		done = subprocess.run(
			[*prefix, *command],
			cwd=cwd or self.path,
			env=env,
			text=True,
			stdin=subprocess.DEVNULL,
			stdout=subprocess.PIPE,
			stderr=subprocess.STDOUT,
			timeout=timeout,
			check=False,
		)
		if show or done.returncode:
			print("\n".join(done.stdout.splitlines()[-60 if done.returncode else -8 :]), flush=True)
		if done.returncode:
			raise Failed(f"{' '.join(command[:6])} ended with {done.returncode}")
		return done.stdout

	def python(self, *arguments: str, **options) -> str:
		"""Run the bench's own Python in its sites folder: `bench` commands without bench's own checks."""
		return self.run(str(self.path / "env/bin/python"), *arguments, cwd=self.path / "sites", **options)

	def frappe(self, *arguments: str, **options) -> str:
		return self.python("-m", "frappe.utils.bench_helper", "frappe", *arguments, **options)


def benches() -> list[Bench]:
	"""Return the benches named in FRAPPE_BENCHES, else those in the usual places."""
	named = os.environ.get("FRAPPE_BENCHES", "").replace(":", " ").split()
	if named:
		paths = [Path(name).expanduser() for name in named]
	else:
		roots = [
			Path.home(),
			Path("/workspace"),
			Path("/opt"),
			*sorted(Path("/home").glob("*")),
		]
		found = (path for root in dict.fromkeys(roots) for path in _glob(root))
		paths = list(dict.fromkeys(path.resolve() for path in found))
	return [Bench(path) for path in paths if (path / "sites/apps.txt").exists() and (path / "env").exists()]


def _glob(root: Path) -> list[Path]:
	try:
		return sorted(root.glob("*bench*"))
	except OSError:
		return []


@contextmanager
def redis_running(bench: Bench) -> Iterator[None]:
	"""Start the bench's Redis servers that are not running, for the time of the run."""
	config = json.loads((bench.path / "sites/common_site_config.json").read_text())
	started = []
	with ExitStack() as stack:
		for name in ("redis_cache", "redis_queue"):
			port = int(config[name].rstrip("/").split(":")[-1].split("/")[0])
			if _listens(port):
				continue
			folder = stack.enter_context(tempfile.TemporaryDirectory())
			options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
			started.append(subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL))
			_await(port)
		try:
			yield
		finally:
			for process in started:
				process.terminate()
				process.wait()


def _listens(port: int) -> bool:
	with socket.socket() as probe:
		probe.settimeout(1)
		return probe.connect_ex(("127.0.0.1", port)) == 0


def _await(port: int) -> None:
	for _ in range(100):
		if _listens(port):
			return
		time.sleep(0.1)
	raise Failed(f"nothing listens on port {port}")


@contextmanager
def app_on(bench: Bench) -> Iterator[None]:
	"""Have this checkout as the bench's app for the time of the run, as `bench get-app` would put it there."""
	place = bench.path / "apps" / APP
	if place.exists() and not place.is_symlink() and place.resolve() != ROOT:
		raise Failed(f"{place} exists; move it away, or run its own `make test-site`")
	apps_txt = bench.path / "sites/apps.txt"
	before, link = apps_txt.read_text(), place.readlink() if place.is_symlink() else None
	copy = Path(tempfile.mkdtemp(prefix="hub-app-", dir=bench.path))
	try:
		tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
		for name in filter(None, tracked.decode().split("\0")):
			(copy / name).parent.mkdir(parents=True, exist_ok=True)
			if (ROOT / name).is_file():
				shutil.copy2(ROOT / name, copy / name)
		_give(copy, bench.owner)
		place.unlink(missing_ok=True)
		place.symlink_to(copy)
		if APP not in before.split():
			apps_txt.write_text(f"{before.rstrip()}\n{APP}\n")
		_install(bench, place)
		yield
	finally:
		place.unlink(missing_ok=True)
		apps_txt.write_text(before)
		if link:
			place.symlink_to(link)
			_install(bench, place)
		else:
			_pip(bench, "uninstall", APP, check=False)
		_clear_cache(bench)
		shutil.rmtree(copy)


def _install(bench: Bench, place: Path) -> None:
	_pip(bench, "install", "-q", "-e", str(place))
	_clear_cache(bench)  # Frappe keeps the list of apps and modules there


def _pip(bench: Bench, *arguments: str, check: bool = True) -> None:
	python = str(bench.path / "env/bin/python")
	uv = shutil.which("uv") or shutil.which("uv", path=bench.owner_path)
	has_pip = (bench.path / "env/bin/pip").exists()
	command = (
		[python, "-m", "pip", *arguments]
		if has_pip or not uv
		else [uv, "pip", arguments[0], "--python", python, *arguments[1:]]
	)
	if "uninstall" in arguments and has_pip:
		command.append("-y")
	try:
		bench.run(*command)
	except Failed:
		if check:
			raise


def _clear_cache(bench: Bench) -> None:
	config = json.loads((bench.path / "sites/common_site_config.json").read_text())
	code = f"import redis; redis.from_url({config['redis_cache']!r}).flushall()"
	bench.python("-c", code)


def _give(folder: Path, owner: str) -> None:
	if os.geteuid() == 0:
		subprocess.run(["chown", "-R", f"{owner}:", str(folder)], check=True)
	folder.chmod(0o755)


@contextmanager
def database_root() -> Iterator[list[str]]:
	"""Give the options by which `new-site` reaches MariaDB, with an administrator made for the run."""
	user, password = (
		os.environ.get("FRAPPE_DB_ROOT_USERNAME", "root"),
		os.environ.get("FRAPPE_DB_ROOT_PASSWORD"),
	)
	if password is not None:
		yield ["--db-root-username", user, "--db-root-password", password]
		return
	password = secrets.token_hex(12)
	client = shutil.which("mariadb") or shutil.which("mysql")
	if not client:
		raise Failed("no MariaDB client found; set FRAPPE_DB_ROOT_PASSWORD")

	def sql(text: str) -> None:
		done = subprocess.run([client, "-u", "root", "-e", text], capture_output=True, text=True)
		if done.returncode:
			raise Failed(
				f"MariaDB: {done.stderr.strip()}; set FRAPPE_DB_ROOT_USERNAME and FRAPPE_DB_ROOT_PASSWORD"
			)

	accounts = [f"'{DB_USER}'@'{host}'" for host in ("localhost", "127.0.0.1")]
	for account in accounts:
		sql(
			f"DROP USER IF EXISTS {account}; CREATE USER {account} IDENTIFIED BY '{password}'; GRANT ALL ON *.* TO {account} WITH GRANT OPTION"
		)
	try:
		yield ["--db-root-username", DB_USER, "--db-root-password", password]
	finally:
		for account in accounts:
			sql(f"DROP USER IF EXISTS {account}")


def test(bench: Bench, database: str) -> str:
	"""Make a site, test on it, take everything away again; return the test runner's last lines."""
	site = f"hub-test-{secrets.token_hex(3)}.localhost"
	with ExitStack() as stack:
		root = stack.enter_context(database_root()) if database == "mariadb" else []
		make = ["new-site", site, "--admin-password", ADMIN_PASSWORD, "--db-type", database, *root]
		if database == "mariadb":
			make.append("--mariadb-user-host-login-scope=%")
		stack.callback(_drop, bench, site, root)
		step("new site", bench.frappe, *make)
		for name in ("allow_tests", "developer_mode"):
			bench.frappe("--site", site, "set-config", name, "1")
		before = tables(bench, site)
		step("install", bench.frappe, "--site", site, "install-app", APP)
		step("migrate", bench.frappe, "--site", site, "migrate")
		out = step("tests", bench.frappe, "--site", site, "run-tests", "--app", APP)
		step("uninstall", bench.frappe, "--site", site, "uninstall-app", APP, "--yes", "--no-backup")
		left = sorted(
			tables(bench, site)
			- before
			- {"tabSandbox Customer", "tabSandbox Customer Change", "tabSandbox Customer Feed"}
		)
		traces = bench.python("-c", _TRACES, site).strip().splitlines()[-1]
		if left or traces != "[]":
			raise Failed(f"uninstalling leaves behind: tables {left}, rows {traces}")
		print("  uninstall leaves nothing behind", flush=True)
	return result_line(out)


# Rows that name the app or its module, after uninstalling.
_TRACES = """
import sys, frappe
frappe.init(site=sys.argv[1]); frappe.connect()
left = []
for doctype, filters in (
	("DocType", {"module": "Integration Hub"}), ("Module Def", {"app_name": "integration_hub"}),
	("Role", {"name": ["like", "Integration %"]}), ("Scheduled Job Type", {"method": ["like", "integration_hub.%"]}),
	("Workspace", {"module": "Integration Hub"}), ("Logs To Clear", {"ref_doctype": ["in", ["Webhook Log", "Sync Log"]]}),
	("Number Card", {"module": "Integration Hub"}), ("Dashboard Chart", {"module": "Integration Hub"}),
	("Dashboard Chart Source", {"module": "Integration Hub"}), ("Notification", {"module": "Integration Hub"}),
	("Notification Log", {"document_type": ["in", ["Integration Error Log", "Sync Log"]]}),
	("Has Role", {"role": ["like", "Integration %"]}), ("Custom Field", {"module": "Integration Hub"}),
):
	left += [f"{doctype} {name}" for name in frappe.get_all(doctype, filters=filters, pluck="name")]
left += [str(r) for r in frappe.db.sql("SELECT `doctype`, `name` FROM `__Auth` WHERE `doctype` = 'Integration Settings'")]
print(left)
"""


def tables(bench: Bench, site: str) -> set[str]:
	code = "import sys, json, frappe; frappe.init(site=sys.argv[1]); frappe.connect(); print(json.dumps(frappe.db.get_tables(cached=False)))"
	return set(json.loads(bench.python("-c", code, site).strip().splitlines()[-1]))


def _drop(bench: Bench, site: str, root: list[str]) -> None:
	if (bench.path / "sites" / site).exists():
		try:
			bench.frappe("drop-site", site, "--no-backup", "--force", *root)
		except Failed as error:
			print(f"  {site} could not be dropped: {error}")
	shutil.rmtree(bench.path / "sites" / site, ignore_errors=True)
	for archive in (bench.path / "archived" / "sites").glob(f"{site}*"):
		shutil.rmtree(archive, ignore_errors=True)


def step(name: str, function, *arguments: str) -> str:
	started = time.monotonic()
	out = function(*arguments)
	print(f"  {name}: {time.monotonic() - started:.0f} s", flush=True)
	return out


def result_line(out: str) -> str:
	return next(
		(line.strip() for line in reversed(out.splitlines()) if line.startswith("Ran ")), "no tests ran"
	)


def main() -> int:
	found = benches()
	if "--list" in sys.argv:
		print("\n".join(str(bench.path) for bench in found))
		return 0
	if not found:
		print("test-site: no bench found; name them in FRAPPE_BENCHES")
		return 2
	results = []
	for bench in found:
		print(f"{bench.path} (Frappe {bench.version})", flush=True)
		try:
			with redis_running(bench), app_on(bench):
				for database in bench.databases:
					print(f" {database}", flush=True)
					results.append((f"Frappe {bench.version} on {database}", test(bench, database)))
		except Failed as error:
			print(f"test-site: FAILED on {bench.path}: {error}")
			return 1
	for name, line in results:
		print(f"{name}: {line}")
	print("test-site: ok")
	return 0


if __name__ == "__main__":
	sys.exit(main())
