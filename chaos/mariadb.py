"""A MariaDB of the run's own, which it may stop and kill."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

PASSWORD = "chaos"  # noqa: S105 - of a server that lives for one run, on this machine alone


class MariaDB:
	"""A server on a data folder. It is made by `create`; a process that has the folder can start and stop it."""

	def __init__(self, folder: Path, port: int):
		self._folder, self.port = folder, port
		self._process: subprocess.Popen | None = None
		self.stops = 0

	@classmethod
	def create(cls, folder: Path, port: int) -> MariaDB:
		"""Make the data folder, with an administrator `root`. Raises RuntimeError where MariaDB is not installed."""
		if not (shutil.which("mariadbd") and shutil.which("mariadb-install-db")):
			raise RuntimeError("No MariaDB server found: install the package mariadb-server.")
		folder.mkdir(parents=True)
		made = cls(folder, port)
		for sub in ("data", "run"):
			(folder / sub).mkdir()
		_own(folder)
		data = f"--datadir={folder / 'data'}"
		install = ["mariadb-install-db", "--no-defaults", data, "--skip-test-db", *_user()]
		subprocess.run(
			[*install, "--auth-root-authentication-method=normal"], check=True, capture_output=True
		)
		made.start()
		accounts = [f"'root'@'{host}'" for host in ("localhost", "127.0.0.1", "%")]
		made._sql(
			*(
				f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY '{PASSWORD}'; ALTER USER {who} IDENTIFIED BY '{PASSWORD}'; "
				f"GRANT ALL ON *.* TO {who} WITH GRANT OPTION;"
				for who in reversed(accounts)
			)
		)
		return made

	def start(self) -> None:
		"""Start it, unless it runs; wait until it answers."""
		if self._process and self._process.poll() is None:
			return
		run = self._folder / "run"
		command = [
			"mariadbd",
			"--no-defaults",
			f"--datadir={self._folder / 'data'}",
			f"--port={self.port}",
			"--bind-address=127.0.0.1",
			f"--socket={run / 'socket'}",
			f"--pid-file={run / 'pid'}",
			f"--log-error={run / 'error.log'}",
			"--character-set-server=utf8mb4",
			"--collation-server=utf8mb4_unicode_ci",
			*_user(),
		]
		self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
		for _ in range(600):
			if self._process.poll() is not None:
				raise RuntimeError(f"mariadbd ended with {self._process.returncode}; see {run / 'error.log'}")
			if _answers(self.port):
				return
			time.sleep(0.05)
		raise RuntimeError("mariadbd does not answer.")

	def stop(self, hard: bool = False) -> None:
		"""Stop it; hard: by SIGKILL."""
		if self._process:
			self._process.kill() if hard else self._process.terminate()
			self._process.wait()
			self._process = None
			self.stops += 1

	def _sql(self, *statements: str) -> None:
		client = shutil.which("mariadb") or "mysql"
		command = [client, "--no-defaults", f"--socket={self._folder / 'run/socket'}", "-u", "root"]
		subprocess.run([*command, "-e", " ".join(statements)], check=True, capture_output=True)


def _answers(port: int) -> bool:
	"""Tell whether MariaDB greets who connects: while it starts, it accepts and says nothing."""
	try:
		with socket.create_connection(("127.0.0.1", port), 1) as connection:
			connection.settimeout(2)
			return bool(connection.recv(1))
	except OSError:
		return False


def _user() -> list[str]:
	"""mariadbd does not run as root."""
	return ["--user=mysql"] if os.geteuid() == 0 else []


def _own(folder: Path) -> None:
	if os.geteuid() == 0:
		owner = pwd.getpwnam("mysql")
		for path in (folder, *folder.rglob("*")):
			os.chown(path, owner.pw_uid, owner.pw_gid)
