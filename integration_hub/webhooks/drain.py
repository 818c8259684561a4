"""Handling what is in the inbox: claimed in batches, by as many drains as there are workers for it."""

from __future__ import annotations

import random
import time

from integration_hub.connectors.secrets import redactor_for
from integration_hub.stores import claims, ordering
from integration_hub.stores.database import in_transaction
from integration_hub.stores.failure_closing import close_events
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.fault_isolation import isolated, note_clock
from integration_hub.webhooks.batch import MAX_ATTEMPTS, Batch, Drained

CLAIMED_AT_ONCE = 100
CLAIM_SECONDS = 15 * 60  # a claimant silent for longer is taken for dead, though it is not gone
_BACKLOG = 1000  # due events for which another drain is worth its worker
_MAX_DRAINS = 4


def drain(runtime: Runtime, integration: str, seconds: float = 240) -> Drained:
	"""Handle the due events of an integration, oldest first, for at most `seconds`."""
	done, deadline = Drained(), time.monotonic() + seconds
	config = runtime.integration(integration)
	if not config.enabled:
		return done
	redactor = redactor_for(runtime.secrets(integration))
	user, over = config.run_as_user, set()
	with claims.slot(runtime, integration) as slot, runtime.as_user(user):
		while slot and time.monotonic() < deadline:
			rows = claims.claim_due(runtime, integration, CLAIMED_AT_ONCE, slot, deadline)
			if not rows:
				break
			batch = Batch(runtime, integration, redactor, done, user)
			batch.handle(rows, deadline)
			over |= batch.over
			runtime.events_ended(integration)
	if over:
		in_transaction(runtime.db, lambda: close_events(runtime, integration, over))
	return done


def sweep(runtime: Runtime) -> list[str]:
	"""Take up what a crash, a dead worker or an absent Redis left behind; return the integrations it woke.

	Each integration by itself: one whose events cannot be looked at keeps no other from being woken. Takes about a second
	at most, however many events there are; the next sweep goes on.
	"""
	woken: list[str] = []
	with isolated(runtime, operation="Sweep"):
		claims.release_abandoned(runtime, CLAIM_SECONDS, MAX_ATTEMPTS)
	names = ordering.enabled_integrations(runtime)
	until = time.monotonic() + ordering.LOOK_SECONDS
	for name in random.sample(names, len(names)):  # not always the same ones at the end of the time
		with isolated(runtime, operation="Sweep", integration=name):
			if mended := ordering.repair_times(runtime, name):
				note_clock(
					runtime,
					name,
					f"{mended} waiting events were postponed by a clock that was ahead; they are tried now.",
				)
			ordering.find_headless(runtime, name)
			if count := ordering.count_due(runtime, name, until):
				woken.append(name)
				_wake(runtime, name, count)
	return sorted(woken)


def _wake(runtime: Runtime, integration: str, count: int) -> None:
	for number in range(min(1 + count // _BACKLOG, _MAX_DRAINS)):
		runtime.enqueue_drain(integration, number + 1)
