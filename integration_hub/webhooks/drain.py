"""Handling what is in the inbox: claimed in batches, by as many drains as there are workers for it."""

from __future__ import annotations

import time

from integration_hub.connectors.secrets import redactor_for
from integration_hub.stores import claims
from integration_hub.stores.database import in_transaction
from integration_hub.stores.failure_closing import close_events
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.work_table import INBOX
from integration_hub.sync.sweeping import sweep_table
from integration_hub.webhooks.batch import Batch, Drained
from integration_hub.webhooks.event_retries import MAX_ATTEMPTS, EventRetries

CLAIMED_AT_ONCE = 100


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
			batch = Batch(runtime, integration, redactor, done, user, EventRetries.of(config))
			batch.handle(rows, deadline)
			over |= batch.over
			runtime.events_ended(integration)
	if over:
		in_transaction(runtime.db, lambda: close_events(runtime, integration, over))
	return done


def sweep(runtime: Runtime) -> list[str]:
	"""Take up events that a crash, a dead worker or an absent Redis left behind; return the integrations it woke."""
	return sweep_table(runtime, INBOX, MAX_ATTEMPTS, runtime.enqueue_drain)
