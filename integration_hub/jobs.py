"""What the scheduler and the workers call. Thin: the work is the engine's."""

from contextlib import closing
from functools import partial

import frappe

from integration_hub.connectors.secrets import redactor_of_readable
from integration_hub.homes.site import SiteHome
from integration_hub.homes.site.jobs import forget_dead_schedule
from integration_hub.integration_hub import alerts
from integration_hub.queues.consumer import SwitchedOff, consumer_for
from integration_hub.queues.state import QueueState
from integration_hub.queues.turns import in_turns
from integration_hub.stores.database import in_transaction
from integration_hub.stores.home import HubError
from integration_hub.sync import run as sync_run
from integration_hub.sync import schedule
from integration_hub.sync.faults import kept_apart
from integration_hub.sync.modes import Period
from integration_hub.webhooks import drain

QUEUE_SECONDS = 50.0  # the next minute's job goes on


def sync_due_streams() -> None:
	"""Each minute: hand the streams that are due to workers."""
	forget_dead_schedule()
	schedule.enqueue_due_streams(SiteHome())


def sweep_webhook_inbox() -> None:
	"""Each minute: take up events that were left behind, and retries that are due."""
	forget_dead_schedule()
	drain.sweep(SiteHome())


def drain_external_queues() -> None:
	"""Each minute: take what waits in external Redis queues, where no consumer process runs."""
	forget_dead_schedule()
	home = SiteHome()
	sql = "SELECT `name` FROM `tabIntegration Settings` WHERE `enabled` = 1 AND `queue_enabled` = 1"
	in_turns([row["name"] for row in home.db.query(sql)], partial(drain_queue, home), QUEUE_SECONDS)


def drain_queue(home: SiteHome, integration: str, seconds: float) -> bool:
	"""Take what waits in one integration's queue, for about `seconds`; tell whether it is worth another turn.

	A failure is logged and does not hold up the others.
	"""
	with home.lock(f"queue:{integration}") as free:
		if not free:
			return False
		state = QueueState(home, integration)
		try:
			consumer = consumer_for(home, integration, "scheduled", home.external_redis_url())
			with closing(consumer.redis):
				done = consumer.drain(seconds)
				state.goes_well(consumer, took=done.total > 0)
		except SwitchedOff:  # since the names were read
			return False
		except Exception as error:  # noqa: BLE001 - logged, and the next queue has its turn
			state.fails(error, redactor_of_readable(home.secrets(integration)))
			return False
	return done.more


def run_stream(stream: str, triggered_by: str, since: str = "", until: str = "") -> None:
	"""Run one stream; what keeps it from beginning is logged like any failure.

	since, until: a range of time to fetch instead (a backfill).
	"""
	home = SiteHome()
	try:
		sync_run.run_stream(home, stream, triggered_by, Period.read(since, until) if since else None)
	except sync_run.AlreadyRunning as error:
		if since:
			refuse_run(home, stream, error, beside=True)
	except Exception as error:  # noqa: BLE001 - the boundary of a job: what is wrong is said where people look
		refuse_run(home, stream, error, beside=bool(since))


def refuse_run(home: SiteHome, stream: str, error: Exception, beside: bool = False) -> None:
	"""Log why a stream cannot begin, and let it wait for its next turn.

	beside: it was not the stream's own turn, but a backfill; a person starts it again.
	"""
	integration = frappe.db.get_value("Sync Settings", stream, "integration")
	operation = "Backfill" if beside else "Sync"
	home.log_error(error, integration=integration or "", operation=operation, stream=stream)
	if not beside:
		in_transaction(home.db, lambda: schedule.put_off(home, stream))


def approve_deletions(sync_log: str, triggered_by: str) -> None:
	"""Remove the documents a full run held back."""
	home = SiteHome()
	try:
		sync_run.approve_deletions(home, sync_log, triggered_by)
	except HubError as error:
		stream, integration = frappe.db.get_value("Sync Log", sync_log, ["stream", "integration"])
		home.log_error(error, integration=integration, operation="Delete", stream=stream, sync_log=sync_log)


def drain_inbox(integration: str) -> None:
	"""Handle the due events of one integration."""
	home = SiteHome()
	home.drain_begins(integration)
	with kept_apart(home, operation="Webhook", integration=integration):
		drain.drain(home, integration)


def watch_for_problems() -> None:
	"""Every quarter of an hour: tell people of what no single failure shows."""
	forget_dead_schedule()
	alerts.tell_of_problems()
