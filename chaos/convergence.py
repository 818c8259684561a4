"""Once the faults are over: the hub's own processes, left alone, bring everything to its end."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos.database_injector import hours_ahead, last_attempts, retries_are_due
from chaos.environment import Environment
from chaos.recovery import waiting
from chaos.settings import STREAMS
from chaos.verdict import Verdict, left_on_queues
from integration_hub.stores.runtime import Runtime

_WHAT = "Left alone, it came to rest"
_PATIENCE = 180.0  # seconds without progress; a killed worker's job is found out within a minute or two
_LONGEST = 1200.0
_LOOK = 1.0


def converge(environment: Environment, report: Callable[[str], None]) -> Verdict:
	"""Wait until nothing waits and each stream has run well since; say how long it took, or what stands still.

	What costs days is left out: retries are due at once, and what cannot succeed is at its last. All else is as it
	is on any day. A slow machine is not wrong: what counts is that less and less is left.
	"""
	runtime = environment.deployment.runtime
	runtime.reconnect()
	since, began = runtime.now(), time.monotonic()
	least, moved = -1, began
	while True:
		environment.tick()
		left, now = _left(environment, runtime, since), time.monotonic()
		if not any(left.values()):
			return Verdict(_WHAT, f"in {now - began:.0f} s", True)
		text = "; ".join(f"{count:,} {what}" for what, count in left.items() if count)
		if least < 0 or sum(left.values()) < least:
			least, moved = sum(left.values()), now
		if now - moved > _PATIENCE or now - began > _LONGEST:
			return Verdict(
				_WHAT, f"{text}; after {now - began:.0f} s, of which {now - moved:.0f} s stood still", False
			)
		report(text)
		environment.do(retries_are_due)
		environment.do(lambda runtime: last_attempts(runtime, environment.ledger.bad_news))
		time.sleep(_LOOK)


def _left(environment: Environment, runtime: Runtime, since: str) -> dict[str, int]:
	"""Return how much of what is still to be done."""
	with runtime.db.transaction():
		left = {f"events {state}": count for state, count in waiting(runtime).items()}
		sql = (
			"SELECT DISTINCT `stream` FROM `tabSync Log` WHERE `status` = 'Completed' "
			"AND `started_at` BETWEEN %s AND %s"  # a clock was ahead: what ran then says nothing
		)
		ran = {row["stream"] for row in runtime.db.query(sql, [since, runtime.now()])}
		left |= hours_ahead(runtime)
	left["streams that did not run well"] = len(set(STREAMS) - ran)
	left["messages on the list"], left["messages in the stream"] = left_on_queues(environment)
	return left
