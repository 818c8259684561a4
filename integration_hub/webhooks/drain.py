"""Handling what is in the inbox: claimed in batches, each event in a transaction of its own."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.secrets import redactor_for
from integration_hub.stores import inbox
from integration_hub.stores.database import Row
from integration_hub.stores.errors import record_error
from integration_hub.stores.home import Home
from integration_hub.webhooks.events import Route, load_routes, route_for
from integration_hub.webhooks.handle import handle

BATCH = 100
MAX_ATTEMPTS = 8
CLAIM_SECONDS = 15 * 60  # a claimant silent for longer is taken for dead
_FIRST_RETRY = 30.0
_LAST_RETRY = 8 * 3600.0


class ClaimLost(Exception):
	"""The sweep gave the event to another drain; this one must not commit."""


@dataclass
class Drained:
	completed: int = 0
	failed: int = 0
	unrouted: int = 0

	@property
	def total(self) -> int:
		return self.completed + self.failed + self.unrouted


def drain(home: Home, integration: str, seconds: float = 240) -> Drained:
	"""Handle the due events of an integration, oldest first, for at most `seconds`."""
	done, deadline = Drained(), time.monotonic() + seconds
	config = home.integration(integration)
	if not config.enabled:
		return done
	redactor = redactor_for(home.secrets(integration))
	routes = load_routes(home, integration)
	while time.monotonic() < deadline:
		rows = inbox.claim_due(home, integration, BATCH)
		if not rows:
			break
		with home.as_user(config.run_as_user):
			for number, row in enumerate(rows):
				if time.monotonic() >= deadline:
					inbox.give_back(home, rows[number:])
					break
				_handle_one(home, row, routes, redactor, done)
	return done


def _handle_one(home: Home, row: Row, routes: list[Route], redactor: Redactor, done: Drained) -> None:
	route = route_for(routes, row["event_type"] or "")
	try:
		with home.db.transaction():
			if route is None:
				_settle(home, row, status="Unrouted", error=None)
			else:
				reference = handle(home, row, route, redactor)
				_settle(
					home,
					row,
					status="Completed",
					completed_at=home.now(),
					error=None,
					**reference,
				)
	except ClaimLost:
		return
	except Exception as error:  # noqa: BLE001 - any app's handler may fail, with any error
		_fail(home, row, redactor, error)
		done.failed += 1
		return
	done.completed += route is not None
	done.unrouted += route is None


def _settle(home: Home, row: Row, **values) -> None:
	if not inbox.settle(home, row, **values):
		raise ClaimLost(row["name"])


def _fail(home: Home, row: Row, redactor: Redactor, error: Exception) -> None:
	"""Count a failed attempt: it is tried again later, or dead after the last."""
	attempts = row["attempts"]
	dead = attempts >= MAX_ATTEMPTS
	with home.db.transaction():
		name = record_error(
			home,
			error,
			operation="Webhook",
			integration=row["integration"],
			redactor=redactor,
			webhook_log=row["name"],
		)
		inbox.settle(
			home,
			row,
			status="Dead" if dead else "Failed",
			next_attempt_at=None if dead else home.now(ahead=retry_delay(attempts)),
			error=redactor.text(error, 500),
			error_log=name,
		)


def retry_delay(attempts: int) -> float:
	"""Return the pause in seconds after the given number of failures: eight tries take about a day."""
	longest = min(_FIRST_RETRY * 4 ** (attempts - 1), _LAST_RETRY)
	return longest * random.uniform(0.8, 1.0)


def sweep(home: Home) -> list[str]:
	"""Take up what a crash, a dead worker or an absent Redis left behind; return the integrations it woke."""
	inbox.release_abandoned(home, CLAIM_SECONDS, MAX_ATTEMPTS)
	integrations = inbox.integrations_with_due_rows(home)
	for integration in integrations:
		home.enqueue_drain(integration)
	return integrations
