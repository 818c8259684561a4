"""After the faults: what is left is handled, until nothing waits any more. As an operator and the days would do it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from chaos.database_injector import time_passes
from chaos.environment import CONSUMERS, Environment
from chaos.settings import INTEGRATIONS, STREAMS
from integration_hub.queues.consumer import consumer_for
from integration_hub.stores import inbox
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.run import AlreadyRunning, run_stream
from integration_hub.webhooks.drain import drain, sweep
from integration_hub.webhooks.replay import replay

_ROUNDS = 300
_TRIES = 10
_WAITING = ("Queued", "Processing", "Failed")


@dataclass
class Settled:
	"""replayed: dead events that were handled again. runs: how each stream's last run ended, if not well."""

	replayed: int = 0
	waiting: dict[str, int] = field(default_factory=dict)
	runs: dict[str, str] = field(default_factory=dict)


def settle(environment: Environment) -> Settled:
	"""Drain, take up, replay and sync on a stage that is left in peace."""
	runtime, done = environment.deployment.runtime, Settled()
	runtime.reconnect()  # a database that was stopped has forgotten this connection
	for integration, name in CONSUMERS:
		consumer_for(runtime, integration, name).drain()
	for _ in range(_ROUNDS):  # an event that fails holds back those behind it: a round each
		time_passes(runtime)
		sweep(runtime)
		worked = sum(drain(runtime, integration).total for integration in INTEGRATIONS)
		done.replayed += replay(runtime, _worth_a_replay(environment))
		done.waiting = waiting(runtime)
		if not done.waiting:
			break
		if not worked:
			time.sleep(0.2)  # for what was deferred
	with runtime.connector("crm") as connector:
		connector.reset()
	for stream in STREAMS:
		if problem := _sync(runtime, stream):
			done.runs[stream] = problem
	return done


def _worth_a_replay(environment: Environment) -> list[str]:
	"""Return the dead events that could have gone well: workers were killed over them."""
	runtime = environment.deployment.runtime
	dead = inbox.load(runtime, inbox.select(runtime, statuses=("Dead",)))
	return [row["name"] for row in dead if row["event_id"] not in environment.ledger.bad_news]


def waiting(runtime: Runtime) -> dict[str, int]:
	"""Return how many events are in each state that is no end."""
	found: dict[str, int] = {}
	for integration in INTEGRATIONS:
		for status, count in inbox.counts(runtime, integration).items():
			if status in _WAITING:
				found[status] = found.get(status, 0) + count
	return found


def _sync(runtime: Runtime, stream: str) -> str:
	"""Run a stream until it completes; return how its last run ended if it does not."""
	row = {}
	for _ in range(_TRIES):
		try:
			row = run_stream(runtime, stream, "Chaos")
		except AlreadyRunning:  # of a process that was killed this moment
			row = {"status": "Running", "error": ""}
		if row["status"] == "Completed":
			return ""
		time.sleep(1)  # what Redis keeps of a budget that was squeezed
	return f"{row['status']}: {row['error']}"
