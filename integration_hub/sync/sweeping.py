"""Taking up what a crash, a dead worker or an absent Redis has left behind, in the inbox and in the outbox."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from integration_hub.stores import claims, ordering
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.work_table import WorkTable
from integration_hub.sync.fault_isolation import isolated, note_clock

CLAIM_SECONDS = 15 * 60  # a claimant silent for longer is taken for dead, though it is not gone
_BACKLOG = 1000  # due rows for which another claimant is worth its worker
_MAX_CLAIMANTS = 4

Wake = Callable[[str, int], None]


def sweep_table(runtime: Runtime, table: WorkTable, max_attempts: int, wake: Wake) -> list[str]:
	"""Have what is due taken up; return the integrations that were woken.

	wake: called with an integration and a number from 1, once for each claimant that is worth its worker. Each integration
	by itself: one whose rows cannot be looked at keeps no other from being woken. Takes about a second at most, however
	many rows there are; the next sweep goes on.
	"""
	woken: list[str] = []
	with isolated(runtime, operation="Sweep"):
		claims.release_abandoned(runtime, CLAIM_SECONDS, max_attempts, table=table)
	names = ordering.enabled_integrations(runtime)
	until = time.monotonic() + ordering.LOOK_SECONDS
	for name in random.sample(names, len(names)):  # not always the same ones at the end of the time
		with isolated(runtime, operation="Sweep", integration=name):
			_repair(runtime, name, table)
			if count := ordering.count_due(runtime, name, until, table):
				woken.append(name)
				for number in range(min(1 + count // _BACKLOG, _MAX_CLAIMANTS)):
					wake(name, number + 1)
	return sorted(woken)


def _repair(runtime: Runtime, integration: str, table: WorkTable) -> None:
	"""Mend times that a clock that was ahead has left, and let on what waits for rows that are gone."""
	if mended := ordering.repair_times(runtime, integration, table):
		told = f"{mended} waiting {table.rows} were postponed by a clock that was ahead; they are tried now."
		note_clock(runtime, integration, told)
	ordering.find_headless(runtime, integration, table)
