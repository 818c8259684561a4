"""Where a run takes place: one SQLite file, or a site (chaos.site). What differs between the two is here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from chaos import effects
from integration_hub.homes.file import FileHome
from integration_hub.stores.home import Home

ROOT = Path(__file__).resolve().parent.parent


class Database(Protocol):
	"""A database server that the run may stop."""

	stops: int

	def stop(self, hard: bool = False) -> None:
		"""Stop it; hard: by SIGKILL."""

	def start(self) -> None:
		"""Start it, unless it runs."""


@dataclass
class Stage:
	"""A home set up for the run.

	opened: opens it once more, for another thread. hub: the command `integration-hub` for it. worker: options of chaos.worker. cwd: where processes run.
	logs: folders besides the run's own whose new lines are searched for secrets.
	tables: those of the database whose rows are.
	"""

	home: Home
	opened: Callable[[], AbstractContextManager[Home]]
	place: str
	hub: list[str]
	worker: list[str]
	cwd: Path
	logs: list[Path] = field(default_factory=list)
	tables: list[str] = field(default_factory=list)
	database: Database | None = None


@contextmanager
def file_stage(folder: Path) -> Iterator[Stage]:
	"""Set up the home without a bench: hub.toml is in `folder`, the secrets in the environment."""
	toml = str(folder / "hub.toml")
	with FileHome(toml) as home:
		home.db.execute(effects.create(home))
		hub = [sys.executable, "-c", "from integration_hub.commands import main; main()", "--config", toml]
		found = home.db.query("SELECT `name` FROM `sqlite_master` WHERE `type` = 'table'")
		yield Stage(
			home,
			lambda: FileHome(toml),
			"one SQLite file",
			hub,
			["--config", toml],
			ROOT,
			tables=[row["name"] for row in found],
		)


def environment(more: Mapping[str, Any]) -> dict[str, str]:
	"""Return the environment of the run's processes, in which this checkout comes first."""
	import os

	path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
	return {**os.environ, "PYTHONPATH": path, **more}
