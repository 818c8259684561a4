"""The benches of this machine: what runs on them, their Redis, and this checkout as their app for a while."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APP = "integration_hub"
NEEDED = ("hypothesis",)  # of what the site's tests import, that which Frappe does not bring


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

	def supports(self, database: str) -> bool:
		"""Tell whether the bench's Frappe knows a database: mariadb, postgres or sqlite."""
		return (self.path / "apps/frappe/frappe/database" / database).is_dir()

	def as_owner(self, *command: str, **environment: str) -> tuple[list[str], dict[str, str]]:
		"""Return a command, and its environment, that runs as the bench's owner."""
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
		return [*prefix, *command], env | environment

	def run(
		self,
		*command: str,
		cwd: Path | None = None,
		timeout: int = 1500,
		quiet: bool = False,
		**environment: str,
	) -> str:
		"""Run a command as the bench's owner; raises Failed, and prints its last lines unless `quiet`."""
		argv, env = self.as_owner(*command, **environment)
		done = subprocess.run(
			argv,
			cwd=cwd or self.path,
			env=env,
			text=True,
			errors="replace",
			stdin=subprocess.DEVNULL,
			stdout=subprocess.PIPE,
			stderr=subprocess.STDOUT,
			timeout=timeout,
			check=False,
		)
		if done.returncode:
			if not quiet:
				print("\n".join(done.stdout.splitlines()[-60:]), flush=True)
			raise Failed(f"{' '.join(command[:6])} ended with {done.returncode}")
		return done.stdout

	@property
	def interpreter(self) -> str:
		return str(self.path / "env/bin/python")

	def python(self, *arguments: str, **options) -> str:
		"""Run the bench's own Python in its sites folder: `bench` commands without bench's own checks."""
		return self.run(self.interpreter, *arguments, cwd=self.path / "sites", **options)

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
			if listens(port):
				continue
			folder = stack.enter_context(tempfile.TemporaryDirectory())
			options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
			started.append(subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL))
			await_port(port)
		try:
			yield
		finally:
			for process in started:
				process.terminate()
				process.wait()


def listens(port: int) -> bool:
	with socket.socket() as probe:
		probe.settimeout(1)
		return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
	with socket.socket() as probe:
		probe.bind(("127.0.0.1", 0))
		return probe.getsockname()[1]


def await_port(port: int) -> None:
	for _ in range(100):
		if listens(port):
			return
		time.sleep(0.1)
	raise Failed(f"nothing listens on port {port}")


@contextmanager
def app_on(bench: Bench) -> Iterator[None]:
	"""Have this checkout as the bench's app for the time of the run, as `bench get-app` would put it there.

	A bench's own clone, from which this runs, is the app already and is taken as it is.
	"""
	place = bench.path / "apps" / APP
	with ExitStack() as undo:
		undo.enter_context(_alone_on(bench))
		if place.exists() and not place.is_symlink():
			if place.resolve() != ROOT:
				raise Failed(f"{place} exists; move it away, or run its own: make -C {place} test-site")
			_check_installed(bench, place)
			yield
			return
		copy = Path(tempfile.mkdtemp(prefix="hub-app-", dir=bench.path))
		undo.callback(shutil.rmtree, copy)
		_copy_to(copy)
		give(copy, bench.owner)
		undo.callback(_put_back, bench, place, place.readlink() if place.is_symlink() else None)
		place.unlink(missing_ok=True)
		place.symlink_to(copy)
		apps_txt = bench.path / "sites/apps.txt"
		before = apps_txt.read_text()
		undo.callback(apps_txt.write_text, before)
		if APP not in before.split():
			apps_txt.write_text(f"{before.rstrip()}\n{APP}\n")
		_install(bench, place)
		yield


def _check_installed(bench: Bench, place: Path) -> None:
	"""Raise Failed unless the bench's own clone is what its Python imports and its list of apps names."""
	found = bench.python("-c", f"import {APP}; print({APP}.__file__)", quiet=True).strip().splitlines()[-1]
	listed = APP in (bench.path / "sites/apps.txt").read_text().split()
	if not listed or Path(found).resolve() != place.resolve() / APP / "__init__.py":
		raise Failed(
			f"{place} is not installed on its bench: bench setup requirements, or bench get-app {place}"
		)


@contextmanager
def what_tests_need(bench: Bench) -> Iterator[dict[str, str]]:
	"""Give the environment in which a bench's Python finds what the site's tests import.

	What is missing is installed into a folder that goes away: the bench's own environment stays as it was. Raises
	Failed, which says what to do, where it cannot be installed.
	"""
	missing = [name for name in NEEDED if not _knows(bench, name)]
	if not missing:
		yield {}
		return
	folder = Path(tempfile.mkdtemp(prefix="hub-tests-", dir=bench.path))
	try:
		give(folder, bench.owner)
		_install_into(folder, bench, missing)
		yield {"PYTHONPATH": str(folder)}
	finally:
		shutil.rmtree(folder)


def _install_into(folder: Path, bench: Bench, names: list[str]) -> None:
	try:
		_pip(bench, "install", "-q", "--target", str(folder), *names, quiet=True)
	except (Failed, OSError):
		words = " ".join(names)
		raise Failed(
			f"the tests need {words}, which cannot be installed here; on the bench: "
			f"{bench.interpreter} -m pip install {words}"
		) from None


def _knows(bench: Bench, name: str) -> bool:
	code = f"import importlib.util as u; print('yes' if u.find_spec({name!r}) else 'no')"
	return bench.python("-c", code, quiet=True).strip().splitlines()[-1] == "yes"


@contextmanager
def _alone_on(bench: Bench) -> Iterator[None]:
	"""Wait until no other run has its app on the bench."""
	with (bench.path / "sites/apps.txt").open() as held:
		fcntl.flock(held, fcntl.LOCK_EX)
		yield


def _copy_to(folder: Path) -> None:
	tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
	for name in filter(None, tracked.decode().split("\0")):
		(folder / name).parent.mkdir(parents=True, exist_ok=True)
		if (ROOT / name).is_file():
			shutil.copy2(ROOT / name, folder / name)


def _put_back(bench: Bench, place: Path, link: Path | None) -> None:
	"""Have what was the bench's app before as its app again, or none."""
	place.unlink(missing_ok=True)
	if link:
		place.symlink_to(link)
		_install(bench, place)
	else:
		_pip(bench, "uninstall", APP)
		_clear_cache(bench)


def _install(bench: Bench, place: Path) -> None:
	_pip(bench, "install", "-q", "-e", str(place))
	_clear_cache(bench)  # Frappe keeps the list of apps and modules there


def _pip(bench: Bench, *arguments: str, quiet: bool = False) -> None:
	python = bench.interpreter
	uv = shutil.which("uv") or shutil.which("uv", path=bench.owner_path)
	has_pip = (bench.path / "env/bin/pip").exists()
	command = (
		[python, "-m", "pip", *arguments]
		if has_pip or not uv
		else [uv, "pip", arguments[0], "--python", python, *arguments[1:]]
	)
	if "uninstall" in arguments and has_pip:
		command.append("-y")
	bench.run(*command, quiet=quiet)


def _clear_cache(bench: Bench) -> None:
	config = json.loads((bench.path / "sites/common_site_config.json").read_text())
	code = f"import redis; redis.from_url({config['redis_cache']!r}).flushall()"
	bench.python("-c", code)


def give(folder: Path, owner: str) -> None:
	if os.geteuid() == 0:
		subprocess.run(["chown", "-R", f"{owner}:", str(folder)], check=True)
	folder.chmod(0o755)


def step(name: str, function: Callable[..., str], *arguments: str, **options: str) -> str:
	"""Do something, and say how long it took."""
	started = time.monotonic()
	out = function(*arguments, **options)
	print(f"  {name}: {time.monotonic() - started:.0f} s", flush=True)
	return out
