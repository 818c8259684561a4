"""A run on a bench: as its owner, by its own Python; on a site made for the run, with a MariaDB that may be stopped."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.deployment import ROOT
from chaos.mariadb import PASSWORD, MariaDB
from integration_hub.sandbox.redis import free_port


def enter(bench: Path) -> None:
	"""Go on in the bench's Python, in its sites folder, as its owner: this process becomes that one."""
	python, sites = bench.resolve() / "env/bin/python", bench.resolve() / "sites"
	if not (python.exists() and (sites / "apps.txt").exists()):
		raise SystemExit(f"{bench} is no bench")
	if Path(sys.prefix).resolve() == python.parent.parent.resolve():
		os.chdir(sites)
		return
	owner = pwd.getpwnam(sites.owner())
	command = [str(python), "-m", "chaos", *sys.argv[1:]]
	env = {**os.environ, "PYTHONPATH": str(ROOT)}
	if os.geteuid() == 0 and owner.pw_uid != 0:
		rights = ["--reuid", str(owner.pw_uid), "--regid", str(owner.pw_gid), "--init-groups"]
		command = [shutil.which("setpriv") or "setpriv", *rights, *command]
		env |= {"HOME": owner.pw_dir, "USER": owner.pw_name, "LOGNAME": owner.pw_name}
	os.chdir(sites)
	os.execve(command[0], command, env)


@contextmanager
def own_site() -> Iterator[tuple[str, MariaDB]]:
	"""Make a site on a MariaDB of its own for a block; within a bench (see `enter`)."""
	site = f"chaos-{secrets.token_hex(3)}.localhost"
	folder = Path(tempfile.mkdtemp(prefix="hub-chaos-mariadb-"))
	print(f"Making {site} on a MariaDB of its own: this takes minutes", flush=True)
	mariadb = MariaDB.create(folder / "server", free_port())
	root = ["--db-root-username", "root", "--db-root-password", PASSWORD]
	try:
		address = [
			"--db-host",
			"127.0.0.1",
			"--db-port",
			str(mariadb.port),
			"--mariadb-user-host-login-scope=%",
		]
		_frappe("new-site", site, "--admin-password", PASSWORD, *address, *root)
		_frappe("--site", site, "install-app", "integration_hub")
		yield site, mariadb
	finally:
		mariadb.start()
		if Path(site).exists():
			_frappe("drop-site", site, "--no-backup", "--force", *root, check=False)
		mariadb.stop()
		shutil.rmtree(site, ignore_errors=True)
		for archive in Path("../archived/sites").glob(f"{site}*"):
			shutil.rmtree(archive, ignore_errors=True)
		shutil.rmtree(folder, ignore_errors=True)


def _frappe(*arguments: str, check: bool = True) -> None:
	command = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", *arguments]
	done = subprocess.run(command, capture_output=True, text=True, check=False)
	if check and done.returncode:
		raise RuntimeError(
			f"{arguments[:3]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
		)
