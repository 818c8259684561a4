"""The deployment under test: one SQLite file, or a site (chaos.site), and the differences between the two."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from chaos import effects
from chaos.network_path import NetworkPath
from chaos.redis_server import RedisServer
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.stores.runtime import Runtime

ROOT = Path(__file__).resolve().parent.parent


class Database(Protocol):
	"""A database server that the run may stop."""

	stops: int

	def stop(self, hard: bool = False) -> None:
		"""Stop it; hard: by SIGKILL."""

	def start(self) -> None:
		"""Start it, unless it runs."""


@dataclass(frozen=True)
class Command:
	"""What a process runs. ours: else it is started again when it ends, as its supervisor would, and nothing said.

	jobs: it has each job done by a process of its own, which may be killed by itself.
	"""

	line: Sequence[str]
	ours: bool = True
	jobs: bool = False


@dataclass(frozen=True)
class Endpoint:
	"""Where senders post, by way of a proxy. probe: the path that answers once the process is there."""

	network_path: str
	path: str
	probe: str
	headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Deployment:
	"""A runtime set up for the run.

	opened: opens it once more, for another thread. hub: the command `integration-hub` for it. cwd: where processes run.
	processes: those besides the receiver and the consumers. ways, endpoints, servers: those besides the run's own.
	elapse: lets time pass where it is not written in the hub's tables. disconnect: cuts the hub's database
	connections at the server. logs: folders besides the run's own whose new lines are searched for secrets.
	tables: those of the database whose rows are. pace: how many times as long everybody else waits between two
	things they do.
	"""

	runtime: Runtime
	opened: Callable[[], AbstractContextManager[Runtime]]
	place: str
	hub: list[str]
	cwd: Path
	processes: dict[str, Command]
	network_paths: dict[str, NetworkPath] = field(default_factory=dict)
	endpoints: list[Endpoint] = field(default_factory=list)
	servers: dict[str, RedisServer] = field(default_factory=dict)
	elapse: Callable[[], None] = lambda: None
	disconnect: Callable[[Runtime], None] | None = None
	logs: list[Path] = field(default_factory=list)
	tables: list[str] = field(default_factory=list)
	database: Database | None = None
	pace: float = 1.0


@contextmanager
def standalone_deployment(folder: Path) -> Iterator[Deployment]:
	"""Set up the standalone runtime: hub.toml is in `folder`, the secrets in the environment."""
	toml = str(folder / "hub.toml")
	worker = Command([sys.executable, "-m", "chaos.worker", "--config", toml])
	with StandaloneRuntime(toml) as runtime:
		runtime.db.execute(effects.create(runtime))
		hub = [sys.executable, "-c", "from integration_hub.commands import main; main()", "--config", toml]
		found = runtime.db.query("SELECT `name` FROM `sqlite_master` WHERE `type` = 'table'")
		yield Deployment(
			runtime,
			lambda: StandaloneRuntime(toml),
			"one SQLite file",
			hub,
			ROOT,
			{"worker-1": worker, "worker-2": worker},
			tables=[row["name"] for row in found],
		)


def process_environment() -> dict[str, str]:
	"""Return the environment of the run's processes, in which this checkout comes first."""
	path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
	return {**os.environ, "PYTHONPATH": path}
