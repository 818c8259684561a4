"""Whitelisted methods. Thin: permission on the document, then the engine."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import escape_html, get_system_timezone
from redis.exceptions import RedisError
from werkzeug.wrappers import Request, Response

from integration_hub.connectors.errors import ConnectorError
from integration_hub.integration_hub import (
	bulk,
	charts,
	exports,
	field_permissions,
	looking,
	operator_actions,
	removal,
	run_as,
	sandbox,
	stream_status,
	webhook_endpoint,
	worker_checks,
)
from integration_hub.integration_hub import health as hub_health
from integration_hub.integration_hub.choices import choices as names
from integration_hub.integration_hub.connection_test import try_connection
from integration_hub.integration_hub.messages import in_language, refuse
from integration_hub.runtime.frappe import FrappeRuntime, endpoint
from integration_hub.runtime.frappe.jobs import enqueue_once
from integration_hub.runtime.frappe.runtime import SYNC_SECONDS
from integration_hub.stores import inbox
from integration_hub.stores.database import in_transaction
from integration_hub.stores.ids import key
from integration_hub.stores.runtime import HubError
from integration_hub.sync import dry_runs as sync_dryrun
from integration_hub.sync.modes import Period, mode_of
from integration_hub.sync.run import ask_again, ready, refuse_deletions
from integration_hub.sync.schedule import switch_on as switch_stream_on
from integration_hub.sync.schedule import want
from integration_hub.sync.times import parse_time, utc_text, zone
from integration_hub.webhooks import replay
from integration_hub.webhooks.receiver import response

T = TypeVar("T")
PERSON_WAITS = 5  # pages that a dry run looks at while a person waits


@frappe.whitelist(allow_guest=True, methods=["GET", "POST", "PUT", "DELETE"], xss_safe=True)
def webhook(**kwargs) -> Response:
	"""The endpoint for external systems: POST to `/api/method/integration_hub.api.webhook/<integration>`.

	Answers JSON with a reason word; see webhooks.receive. The arguments Frappe made of the body are not
	used: only the raw body is what was signed.
	"""
	return response(endpoint.answer())


def prepare_webhook_request() -> None:
	"""Before each request; see runtime.frappe.endpoint."""
	endpoint.prepare()


def finish_webhook_request(response: Response | None = None, request: Request | None = None) -> None:
	"""After each request; see runtime.frappe.endpoint."""
	if request is not None:
		endpoint.finish(request, response)
		exports.finish(request, response)


@frappe.whitelist(methods=["POST"])
def test_connection(integration: str) -> dict:
	"""Call the external system; see connection.try_connection."""
	run_as.check("Run", integration)
	return try_connection(integration)


@frappe.whitelist(methods=["GET"])
def health(integration: str) -> dict:
	"""Return how an integration is doing now; see health.health."""
	frappe.get_doc("Integration Settings", integration).check_permission("read")
	return hub_health.health(integration)


@frappe.whitelist(methods=["GET"])
def choices() -> dict[str, list[str]]:
	"""Return the names that fields of Integration Settings may have: built in, and registered by apps."""
	frappe.has_permission("Integration Settings", "read", throw=True)
	return names()


@frappe.whitelist(methods=["POST"])
def sync_now(stream: str, switch_on: bool | str = False) -> list[str]:
	"""Hand a stream to a worker; return what may keep it from being done, for a person.

	One that is new is switched on by it. switch_on: one that somebody has switched off, too.
	"""
	doc = _runnable(stream, off=frappe.utils.sbool(switch_on) is True)
	runtime = FrappeRuntime()
	in_transaction(runtime.db, lambda: _want(runtime, doc))  # even if it is running now
	with suppress(
		RedisError
	):  # it is wanted: the scheduler hands it over once Redis is back; the warnings say so
		runtime.enqueue_sync(stream, f"Person {frappe.session.user}")
	return worker_checks.warnings()


def _want(runtime: FrappeRuntime, doc: Document) -> None:
	want(runtime, doc.name)
	if not doc.enabled:
		switch_stream_on(runtime, doc.name)
		doc.add_comment("Info", _("Switched on by Sync Now"))


@frappe.whitelist(methods=["POST"])
def backfill(stream: str, since: str, until: str | None = None) -> list[str]:
	"""Have a worker fetch what changed in a range of time; the checkpoint stays where it is. Return warnings.

	since, until: ISO 8601; without an offset, in the site's time zone; a bare date as `until` is the whole day.
	"""
	doc = _runnable(stream, out_of_turn=True)
	return _backfill(doc, lambda: _period(stream, since, until))


@frappe.whitelist(methods=["POST"])
def backfill_again(sync_log: str) -> list[str]:
	"""Have a worker fetch the range of time once more that a backfill did not finish; return warnings."""
	log = frappe.get_doc("Sync Log", sync_log)
	log.check_permission("read")
	doc = _runnable(log.stream, out_of_turn=True)
	if log.mode != "Backfill" or not log.period:
		frappe.throw(_("{0} is no backfill.").format(sync_log))
	return _backfill(doc, lambda: Period.parse(log.period))


def _backfill(doc: Document, read: Callable[[], Period]) -> list[str]:
	"""Hand a backfill over, once its range of time is read and the stream can be asked for one."""
	try:
		period = read()
		mode_of(doc.config(), period)
	except HubError as error:
		refuse(error)
	return _hand_over(
		"integration_hub.jobs.run_stream",
		job_id=f"integration_hub:backfill:{doc.name}:{period}",
		stream=doc.name,
		since=period.since,
		until=period.until,
	)


def _runnable(stream: str, out_of_turn: bool = False, off: bool = False) -> Document:
	"""Return a stream that the user may run and that can run; say what is in the way before anything is handed over.

	out_of_turn: what is asked for is not the stream's own turn, and would be refused while it runs. off: it may be switched off.
	"""
	doc = frappe.get_doc("Sync Settings", stream)
	doc.check_permission("write")
	if out_of_turn and doc.status == "Running":
		frappe.throw(_("{0} is running. Wait for the end of the run.").format(stream))
	try:
		ready(FrappeRuntime(), stream, include_disabled=off)
	except HubError as error:
		refuse(error)
	return doc


def _hand_over(job: str, **arguments: str) -> list[str]:
	"""Give a long job to a worker, once; return what may keep it from being done."""
	arguments |= {"queue": "long", "timeout": SYNC_SECONDS}
	try:
		enqueue_once(job, triggered_by=f"Person {frappe.session.user}", **arguments)
	except RedisError:
		frappe.throw(_("The job queue (Redis) does not answer: nothing can be handed to a worker."))
	return worker_checks.warnings()


def _period(stream: str, since: str, until: str | None) -> Period:
	"""Return the range of time that a person wrote. Raises HubError naming the field."""
	place = {"doctype": "Sync Settings", "name": stream}
	first = _utc(since, **place, field=_("From"))
	last = _utc(until, end=True, **place, field=_("Until")) if until else ""
	try:
		return Period.read(first, last)
	except HubError as error:
		raise HubError(error.message, **place, field=_("Until")) from None


def _utc(text: str, end: bool = False, **place: str) -> str:
	"""Return what a person wrote in the site's time zone as UTC; a bare date is its beginning, or its end."""
	text = f"{text.strip()} 23:59:59.999999" if end and len(text.strip()) == 10 else text
	try:
		return utc_text(parse_time(text, zone(get_system_timezone())))
	except (ValueError, OverflowError) as error:
		raise HubError(str(error), **place) from None


@frappe.whitelist(methods=["POST"])
def preview(stream: str) -> list[dict]:
	"""Fetch one page and return its first records, mapped, as far as one may see them; see sync.dry_runs.preview."""
	found = _looked(stream, lambda runtime: sync_dryrun.preview(runtime, stream))
	return field_permissions.mapped(found, frappe.db.get_value("Sync Settings", stream, "target_doctype"))


@frappe.whitelist(methods=["POST"])
def start_sandbox() -> dict:
	"""Start a small CRM to try things against, for an hour; see sandbox.start."""
	return sandbox.start()


@frappe.whitelist(methods=["POST"])
def look_at_source(doc: str | dict) -> dict:
	"""Fetch the first page of a form's source and return what is in it; see looking.look_at_source."""
	return looking.look_at_source(doc)


@frappe.whitelist(methods=["POST"])
def dry_run(stream: str) -> dict:
	"""Return what a run would change, of the first pages, as far as one may see it; see sync.dry_runs.DryRun."""
	found = _looked(stream, lambda runtime: sync_dryrun.dry_run(runtime, stream, max_pages=PERSON_WAITS))
	found.notes = [in_language(note) for note in found.notes]
	return field_permissions.seen(
		found.as_dict(), frappe.db.get_value("Sync Settings", stream, "target_doctype")
	)


def _looked(stream: str, look: Callable[[field_permissions.ViewerRuntime], T]) -> T:
	"""Look at a source for a person who may change the stream, and at documents as they may; say what is in the way."""
	doc = frappe.get_doc("Sync Settings", stream)
	doc.check_permission("write")
	frappe.has_permission(doc.target_doctype, "read", throw=True)
	try:
		return look(field_permissions.ViewerRuntime())
	except (ConnectorError, HubError) as error:
		refuse(error, _("The source could not be read"))
	finally:
		frappe.db.rollback()  # what a registered function may have written on the way


@frappe.whitelist(methods=["POST"])
def reset_checkpoint(stream: str) -> None:
	"""Forget where a stream stands: its next run begins at the beginning."""
	doc = frappe.get_doc("Sync Settings", stream)
	doc.check_permission("write")
	if doc.status == "Running":
		frappe.throw(_("{0} is running. Wait for the end of the run.").format(stream))
	frappe.db.set_value("Sync Settings", stream, {"checkpoint": None, "resume": None})
	doc.add_comment("Info", _("Checkpoint reset; it was {0}").format(doc.checkpoint or "-"))


@frappe.whitelist(methods=["POST"])
def approve_deletions(sync_log: str) -> list[str]:
	"""Have a worker remove the documents a full run held back; return what may keep it from being done."""
	log = frappe.get_doc("Sync Log", sync_log)
	log.check_permission("read")
	stream = _runnable(log.stream, out_of_turn=True)
	if log.status != "Needs Approval":
		frappe.throw(_("{0} has no deletions waiting for approval.").format(sync_log))
	run_as.check("Decide", stream.integration)  # the limits that held them back are no less
	return _hand_over(
		"integration_hub.jobs.approve_deletions",
		job_id=f"integration_hub:approve:{sync_log}",
		sync_log=sync_log,
	)


@frappe.whitelist(methods=["POST"])
def keep_deletions(sync_log: str) -> int:
	"""Keep the documents a full run held back, and ask about them no more; return how many."""
	log = frappe.get_doc("Sync Log", sync_log)
	log.check_permission("read")
	doc = frappe.get_doc("Sync Settings", log.stream)
	doc.check_permission("write")
	try:
		return refuse_deletions(FrappeRuntime(), sync_log, frappe.session.user)
	except HubError as error:
		refuse(error)


@frappe.whitelist(methods=["POST"])
def ask_about_kept(stream: str) -> int:
	"""Have the next run ask again about documents whose removal was refused; return how many."""
	doc = frappe.get_doc("Sync Settings", stream)
	doc.check_permission("write")
	return ask_again(FrappeRuntime(), stream)


@frappe.whitelist(methods=["POST"])
def replay_events(names: str | list) -> int:
	"""Have events handled again, from their first attempt; return how many."""
	return replay.replay(FrappeRuntime(), operator_actions.replayable(names))


@frappe.whitelist(methods=["POST"])
def replay_since(integration: str, since: str | None = None, failed: bool | str = True) -> int:
	"""Have an integration's events handled again: those that failed, those received since a time, or both in one."""
	run_as.check("Run", integration)
	statuses = replay.FAILED if frappe.utils.sbool(failed) else ()
	if not statuses and not since:
		frappe.throw(_("Enter a time, or choose failed events only."))
	runtime = FrappeRuntime()
	try:
		time = frappe.utils.get_datetime(since).strftime("%Y-%m-%d %H:%M:%S") if since else ""
	except (ValueError, AttributeError):
		frappe.throw(_("{0}: {1} is no time.").format(_("Received Since"), escape_html(since)))
	return replay.replay(
		runtime, inbox.select(runtime, integration=integration, statuses=statuses, since=time)
	)


@frappe.whitelist(methods=["POST"])
def handle_conflict(name: str) -> int:
	"""Have an event that came under another one's id handled as one of its own; see repair.handle_conflict."""
	return operator_actions.handle_conflict(name)


@frappe.whitelist(methods=["POST"])
def preview_replay(names: str | list) -> list[dict]:
	"""Return what handling events again would change, and change nothing; see repair.effects."""
	return operator_actions.effects(names)


@frappe.whitelist(methods=["POST"])
def resolve_failures(names: str | list) -> int:
	"""Mark failures as resolved; one opens again if it happens again. Return how many."""
	return operator_actions.set_status(names, "Resolved")


@frappe.whitelist(methods=["POST"])
def reopen_failures(names: str | list) -> int:
	"""Mark failures as open again; return how many."""
	return operator_actions.set_status(names, "Open")


@frappe.whitelist(methods=["POST"])
def retry_failures(names: str | list) -> dict:
	"""Have done again what failed; see repair.retry."""
	return operator_actions.retry(names)


@frappe.whitelist(methods=["POST"])
def retry_record(name: str) -> dict:
	"""Run the stream of a record that could not be written; see repair.retry_record."""
	return operator_actions.retry_record(name)


@frappe.whitelist(methods=["GET"])
def held_documents(sync_log: str, start: int = 0) -> dict:
	"""Return the documents that a run would have removed, a hundred at a time; see repair.held_documents."""
	return operator_actions.held_documents(sync_log, start)


@frappe.whitelist(methods=["GET", "POST"])
def events_a_day(**kwargs) -> dict:
	"""Return the data of a chart; see charts.events_a_day. What the chart widget sends along is not used."""
	return charts.events_a_day()


@frappe.whitelist(methods=["GET", "POST"])
def records_a_day(**kwargs) -> dict:
	"""Return the data of a chart; see charts.records_a_day."""
	return charts.records_a_day()


@frappe.whitelist(methods=["GET"])
def log_days(doctype: str) -> int:
	"""Return how many days Log Settings keep a log that the user may read; 0 where they do not name it."""
	frappe.has_permission(doctype, "read", throw=True)
	filters = {"parent": "Log Settings", "ref_doctype": doctype}
	return frappe.db.get_value("Logs To Clear", filters, "days") or 0


@frappe.whitelist(methods=["GET"])
def integration_states() -> dict[str, dict]:
	"""Return the status of each integration that the user may read, and why; see health.standings."""
	frappe.has_permission("Integration Settings", "read", throw=True)
	return hub_health.standings()


@frappe.whitelist(methods=["GET"])
def count_to_retry(doctype: str, filters: str | list) -> int:
	"""Return how many rows of a list, by its filters, can be tried again; see bulk.count."""
	return bulk.count(doctype, filters)


@frappe.whitelist(methods=["POST"])
def retry_matching(doctype: str, filters: str | list) -> list[str]:
	"""Have a worker try again what a list's filters find; return what may keep it from being done."""
	frappe.has_permission("Integration Settings", "write", throw=True)
	arguments = {"doctype": doctype, "filters": frappe.as_json(bulk.matching(doctype, filters))}
	return _hand_over(
		"integration_hub.jobs.retry_matching",
		job_id=f"integration_hub:retry:{frappe.session.user}:{key(*arguments.values())}",
		**arguments,
	)


@frappe.whitelist(methods=["POST"])
def retry_records(names: str | list) -> list[str]:
	"""Have a worker try records again that could not be written; return what may keep it from being done."""
	given = operator_actions.names_of(names)
	return retry_matching("External Record", [["External Record", "name", "in", given]])


@frappe.whitelist(methods=["POST"])
def run_streams(names: str | list) -> dict:
	"""Hand streams to workers; see bulk.run_streams."""
	frappe.has_permission("Sync Settings", "write", throw=True)
	return {**bulk.run_streams(names), "warnings": worker_checks.warnings()}


@frappe.whitelist(methods=["POST"])
def enable_streams(names: str | list, enabled: bool | str = True) -> dict:
	"""Switch streams on or off; see bulk.set_enabled."""
	frappe.has_permission("Sync Settings", "write", throw=True)
	return bulk.set_enabled(names, frappe.utils.sbool(enabled) is True)


@frappe.whitelist(methods=["POST"])
def run_again(names: str | list) -> dict:
	"""Hand the streams of some runs to workers, each once; see bulk.run_streams."""
	return run_streams(bulk.streams_of(names))


@frappe.whitelist(methods=["GET"])
def removal_plan(integration: str) -> dict:
	"""Return what goes with an integration; see removal.plan."""
	return removal.plan(integration)


@frappe.whitelist(methods=["POST"])
def delete_integration(integration: str) -> list[str]:
	"""Delete an integration and all that belongs to it; where that is much, a worker does. Return warnings; see removal."""
	if not removal.plan(integration)["large"]:
		removal.remove(integration)
		return []
	return _hand_over(
		"integration_hub.jobs.delete_integration",
		job_id=f"integration_hub:delete:{integration}",
		integration=integration,
	)


@frappe.whitelist(methods=["POST"])
def send_test_webhook(integration: str, event_type: str = "", payload: str = "") -> dict:
	"""Give the integration's endpoint an event signed as its sender would; see webhook_endpoint.send_test."""
	run_as.check("Decide", integration)
	return webhook_endpoint.send_test(integration, event_type, payload)


@frappe.whitelist(methods=["POST"])
def rotate_webhook_secret(integration: str, secret: str, drop_previous: bool | str = False) -> None:
	"""Ask senders for a new secret, and go on taking the one before it; see webhook_endpoint.rotate_secret."""
	run_as.check("Decide", integration)
	webhook_endpoint.rotate_secret(integration, secret, frappe.utils.sbool(drop_previous) is True)


@frappe.whitelist(methods=["GET"])
def stream_state(stream: str) -> dict:
	"""Return the runs of a stream, for its form; see streams.state."""
	frappe.get_doc("Sync Settings", stream).check_permission("read")
	return stream_status.state(stream)


@frappe.whitelist(methods=["GET"])
def running_streams() -> list[dict]:
	"""Return the runs that go on, of the streams the user may read; see streams.running."""
	names = frappe.get_list("Sync Settings", filters={"status": "Running"}, pluck="name", limit_page_length=0)
	return stream_status.running(names) if names else []


@frappe.whitelist(methods=["GET"])
def held_deletions(stream: str) -> dict:
	"""Return the documents whose removal waits for approval; see streams.deletions."""
	doc = frappe.get_doc("Sync Settings", stream)
	doc.check_permission("write")
	frappe.has_permission(doc.target_doctype, "read", throw=True)
	try:
		return stream_status.deletions(stream)
	except HubError as error:
		refuse(error)
