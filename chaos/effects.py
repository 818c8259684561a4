"""The handler of the run's events: an effect that shows if it happens twice, and moods of all kinds."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from integration_hub.stores.runtime import Runtime
from integration_hub.webhooks import Defer

TABLE = "chaos_effect"
HANDLER = "chaos.effects.note"
KILLED_BY_EVENT = 86  # exit code of a worker whose event was to kill it

# Of the process: set by the process that handles events.
runtime: Runtime | None = None
mortal = False  # is it a worker that an event may kill?


class Refused(Exception):
	"""The handler's own failure."""


def create(on: Runtime) -> str:
	"""Return the statement that makes the table of effects; their order is that of `seq`."""
	kind = "INTEGER PRIMARY KEY AUTOINCREMENT" if on.db.dialect == "sqlite" else "SERIAL PRIMARY KEY"
	return (
		f"CREATE TABLE `{TABLE}` (`seq` {kind}, `mark` VARCHAR(140), `place` VARCHAR(140), `number` INTEGER)"
	)


def note(payload: Mapping[str, Any], event: Mapping[str, Any]) -> None:
	"""Write one row, then do what the event's mood says on its first attempt."""
	runtime.db.execute(
		f"INSERT INTO `{TABLE}` (`mark`, `place`, `number`) VALUES (%s, %s, %s)",
		[payload["mark"], payload.get("key") or "", payload.get("n") or 0],
	)
	mood = payload.get("mood")
	if mood == "slow":
		time.sleep(0.2)
	if mood == "defers" and not event["deferrals"]:
		raise Defer(1)
	if event["attempts"] > 1:
		return
	if mood == "fails":
		raise Refused("not at the first attempt")
	if mood == "kills" and mortal:
		os._exit(KILLED_BY_EVENT)
