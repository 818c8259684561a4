"""Handling what is in the inbox: claimed in batches, by as many drains as there are workers for it."""

from __future__ import annotations

import time

from integration_hub.connectors.secrets import redactor_for
from integration_hub.stores import claims, ordering
from integration_hub.stores.home import Home
from integration_hub.webhooks.batch import MAX_ATTEMPTS, Batch, Drained

BATCH = 100
CLAIM_SECONDS = 15 * 60  # a claimant silent for longer is taken for dead, though it is not gone
_BACKLOG = 1000  # due events for which another drain is worth its worker
_MAX_DRAINS = 4


def drain(home: Home, integration: str, seconds: float = 240) -> Drained:
	"""Handle the due events of an integration, oldest first, for at most `seconds`."""
	done, deadline = Drained(), time.monotonic() + seconds
	config = home.integration(integration)
	if not config.enabled:
		return done
	redactor = redactor_for(home.secrets(integration))
	user = config.run_as_user
	with claims.seat(home, integration) as seat, home.as_user(user):
		while seat and time.monotonic() < deadline:
			rows = claims.claim_due(home, integration, BATCH, seat)
			if not rows:
				break
			Batch(home, integration, redactor, done, user).handle(rows, deadline)
	return done


def sweep(home: Home) -> list[str]:
	"""Take up what a crash, a dead worker or an absent Redis left behind; return the integrations it woke."""
	claims.release_abandoned(home, CLAIM_SECONDS, MAX_ATTEMPTS)
	waiting = ordering.due(home)
	for integration, count in waiting.items():
		for number in range(min(1 + count // _BACKLOG, _MAX_DRAINS)):
			home.enqueue_drain(integration, number + 1)
	return list(waiting)
