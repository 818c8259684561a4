"""Jobs of the scheduler and the workers. Thin: the work is the engine's."""

from contextlib import closing
from functools import partial

import frappe
from frappe import _

from integration_hub.connectors.secrets import redactor_of_readable
from integration_hub.integration_hub import alerts, bulk, removal
from integration_hub.outbound import dispatch, scan
from integration_hub.queues.consumer import SwitchedOff, consumer_for
from integration_hub.queues.round_robin import in_turns
from integration_hub.queues.state import QueueState
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.jobs import forget_dead_schedule
from integration_hub.stores.database import in_transaction
from integration_hub.stores.runtime import HubError
from integration_hub.sync import run as sync_run
from integration_hub.sync import schedule
from integration_hub.sync.fault_isolation import isolated
from integration_hub.sync.modes import Period
from integration_hub.webhooks import drain

QUEUE_SECONDS = 50.0  # the next minute's job goes on


def sync_due_streams() -> None:
	"""Hand the streams that are due to workers; each minute."""
	forget_dead_schedule()
	schedule.enqueue_due_streams(FrappeRuntime())


def sweep_webhook_inbox() -> None:
	"""Take up events that were left behind, and retries that are due; each minute."""
	forget_dead_schedule()
	drain.sweep(FrappeRuntime())


def drain_external_queues() -> None:
	"""Take what waits in external Redis queues, where no consumer process runs; each minute."""
	forget_dead_schedule()
	runtime = FrappeRuntime()
	sql = "SELECT `name` FROM `tabIntegration Settings` WHERE `enabled` = 1 AND `queue_enabled` = 1"
	in_turns([row["name"] for row in runtime.db.query(sql)], partial(drain_queue, runtime), QUEUE_SECONDS)


def drain_queue(runtime: FrappeRuntime, integration: str, seconds: float) -> bool:
	"""Take what waits in one integration's queue, for about `seconds`; tell whether it is worth another turn.

	A failure is logged and does not hold up the others.
	"""
	with runtime.lock(f"queue:{integration}") as free:
		if not free:
			return False
		state = QueueState(runtime, integration)
		try:
			consumer = consumer_for(runtime, integration, "scheduled", runtime.external_redis_url())
			with closing(consumer.redis):
				done = consumer.drain(seconds)
				state.goes_well(consumer, took=done.total > 0)
		except SwitchedOff:  # since the names were read
			return False
		except Exception as error:  # noqa: BLE001 - the boundary of one queue: the next has its turn
			state.fails(error, redactor_of_readable(runtime.secrets(integration)))
			return False
	return done.more


def run_stream(stream: str, triggered_by: str, since: str = "", until: str = "") -> None:
	"""Run one stream; what keeps it from beginning is logged like any failure.

	since, until: a range of time to fetch instead (a backfill).
	"""
	runtime = FrappeRuntime()
	try:
		sync_run.run_stream(runtime, stream, triggered_by, Period.read(since, until) if since else None)
	except sync_run.AlreadyRunning as error:
		if since:
			refuse_run(runtime, stream, error, out_of_turn=True)
	except Exception as error:  # noqa: BLE001 - the boundary of a job: what is wrong is said where people look
		refuse_run(runtime, stream, error, out_of_turn=bool(since))


def refuse_run(runtime: FrappeRuntime, stream: str, error: Exception, out_of_turn: bool = False) -> None:
	"""Log why a stream cannot begin, and let it wait for its next turn.

	out_of_turn: it was not the stream's own turn, but a backfill; a person starts it again.
	"""
	integration = frappe.db.get_value("Sync Settings", stream, "integration")
	operation = "Backfill" if out_of_turn else "Sync"
	runtime.log_error(error, integration=integration or "", operation=operation, stream=stream)
	if not out_of_turn:
		in_transaction(runtime.db, lambda: schedule.put_off(runtime, stream))


def approve_deletions(sync_log: str, triggered_by: str) -> None:
	"""Remove the documents a full run held back."""
	runtime = FrappeRuntime()
	try:
		sync_run.approve_deletions(runtime, sync_log, triggered_by)
	except HubError as error:
		stream, integration = frappe.db.get_value("Sync Log", sync_log, ["stream", "integration"])
		runtime.log_error(
			error, integration=integration, operation="Delete", stream=stream, sync_log=sync_log
		)


def retry_matching(doctype: str, filters: str, triggered_by: str) -> None:
	"""Try again what a list's filters find, and tell the person who asked what became of it."""
	said = bulk.retry_matching(doctype, frappe.parse_json(filters))
	frappe.db.commit()
	bulk.tell(said)


def retry_records(stream: str, error_log: str, triggered_by: str) -> None:
	"""Try the records of a stream again that a failure keeps back, and tell the person who asked what became of them."""
	bulk.tell([f"{stream}: {bulk.retry_of(stream, error_log=error_log)}"])


def delete_integration(integration: str, triggered_by: str) -> None:
	"""Delete an integration and all that belongs to it, and tell the person who asked, or why it could not be done."""
	try:
		removal.remove(integration)
		frappe.db.commit()
		bulk.tell([_("{0} is deleted.").format(integration)], _("Deleted"))
	except (frappe.ValidationError, frappe.PermissionError) as error:
		frappe.db.rollback()
		why = frappe.utils.strip_html(str(error))
		bulk.tell([_("{0} is not deleted: {1}").format(integration, why)], _("Not Deleted"), "red")


def drain_inbox(integration: str) -> None:
	"""Handle the due events of one integration."""
	runtime = FrappeRuntime()
	runtime.drain_begins(integration)
	with isolated(runtime, operation="Webhook", integration=integration):
		drain.drain(runtime, integration)


def sweep_outbox() -> None:
	"""Take up changes that no worker has seen, and deliveries that are due; each minute."""
	forget_dead_schedule()
	dispatch.sweep(FrappeRuntime())


def send_deliveries(integration: str) -> None:
	"""Send what the outbox has for one integration."""
	runtime = FrappeRuntime()
	runtime.dispatch_begins(integration)
	with isolated(runtime, operation="Delivery", integration=integration):
		dispatch.dispatch(runtime, integration)


def send_what_is_there(stream: str, triggered_by: str = "") -> None:
	"""Have all documents of a stream sent that the system does not have as they are."""
	runtime = FrappeRuntime()
	with isolated(runtime, operation="Backfill", stream=stream):
		scan.send_all(runtime, stream)


def index_modified(doctype: str) -> None:
	"""Give a DocType the index that its scan goes along; from v16 on Frappe makes none unless it sorts by it."""
	frappe.db.add_index(doctype, ["modified"])


def watch_for_problems() -> None:
	"""Tell people of what no single failure shows; every quarter of an hour."""
	forget_dead_schedule()
	alerts.notify_of_problems()
