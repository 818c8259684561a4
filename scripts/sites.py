"""Sites that live for one run, on each database, and the administrators that make and drop them."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from scripts.benches import Bench, Failed, step

DATABASES = ("mariadb", "postgres", "sqlite")
_ADMIN_PASSWORD = "admin"  # noqa: S105 - of a site that lives for one run


def databases_of(bench: Bench) -> list[str]:
	"""Return the databases to test on a bench: of those that SITE_DATABASES names, what its Frappe knows.

	Raises Failed for a name that is none.
	"""
	chosen = os.environ.get("SITE_DATABASES", "").replace(",", " ").split() or ["mariadb", "sqlite"]
	if unknown := set(chosen) - set(DATABASES):
		raise Failed(f"SITE_DATABASES: {', '.join(sorted(unknown))} is none of {', '.join(DATABASES)}")
	return [name for name in chosen if bench.supports(name)]


@contextmanager
def new_site(bench: Bench, database: str) -> Iterator[str]:
	"""Make a site and give its name; drop it with all it had. Raises Failed if something of it is left."""
	site = f"hub-test-{secrets.token_hex(3)}.localhost"
	administrator = {"mariadb": _mariadb, "postgres": _postgres}.get(database, lambda: nullcontext([]))
	with administrator() as root:
		make = ["new-site", site, "--admin-password", _ADMIN_PASSWORD, "--db-type", database, *root]
		if database == "mariadb":
			make.append("--mariadb-user-host-login-scope=%")
		try:
			step("new site", bench.frappe, *make)
			for name in ("allow_tests", "developer_mode"):
				bench.frappe("--site", site, "set-config", name, "1")
			yield site
		finally:
			_drop(bench, site, root)


def _drop(bench: Bench, site: str, root: list[str]) -> None:
	folder = bench.path / "sites" / site
	try:
		if (folder / "site_config.json").exists():
			bench.frappe("drop-site", site, "--no-backup", "--force", *root)
	finally:
		shutil.rmtree(folder, ignore_errors=True)
		for archive in (bench.path / "archived" / "sites").glob(f"{site}*"):
			shutil.rmtree(archive)


@contextmanager
def _mariadb() -> Iterator[list[str]]:
	"""Give the options by which `new-site` reaches MariaDB, with an administrator made for the run."""
	user = os.environ.get("FRAPPE_DB_ROOT_USERNAME", "root")
	password = os.environ.get("FRAPPE_DB_ROOT_PASSWORD")
	if password is not None:
		yield _options(user, password)
		return
	user, password = f"hub_test_{secrets.token_hex(4)}", secrets.token_hex(12)  # another run has its own
	accounts = [f"'{user}'@'{host}'" for host in ("localhost", "127.0.0.1")]
	try:
		for account in accounts:
			_sql(
				f"CREATE USER {account} IDENTIFIED BY '{password}'; "
				f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION"
			)
		yield _options(user, password)
	finally:
		for account in accounts:
			_sql(f"DROP USER IF EXISTS {account}")


def _sql(text: str) -> None:
	"""Run statements as MariaDB's root, over its socket."""
	client = shutil.which("mariadb") or shutil.which("mysql")
	if not client:
		raise Failed("no MariaDB client found; set FRAPPE_DB_ROOT_PASSWORD")
	done = subprocess.run([client, "-u", "root", "-e", text], capture_output=True, text=True)
	if done.returncode:
		raise Failed(
			f"MariaDB: {done.stderr.strip()}; set FRAPPE_DB_ROOT_USERNAME and FRAPPE_DB_ROOT_PASSWORD"
		)


@contextmanager
def _postgres() -> Iterator[list[str]]:
	"""Give the options by which `new-site` reaches Postgres; raises Failed without a password."""
	user = os.environ.get("FRAPPE_POSTGRES_ROOT_USERNAME", "postgres")
	password = os.environ.get("FRAPPE_POSTGRES_ROOT_PASSWORD")
	if password is None:
		raise Failed("set FRAPPE_POSTGRES_ROOT_PASSWORD, the password of Postgres's administrator")
	yield _options(user, password)


def _options(user: str, password: str) -> list[str]:
	return ["--db-root-username", user, "--db-root-password", password]
