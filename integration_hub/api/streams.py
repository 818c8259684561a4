"""Whitelisted methods of streams: running them, and looking at what a run would do."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import get_system_timezone
from redis.exceptions import RedisError

from integration_hub.api.handover import hand_over, runnable
from integration_hub.connectors.errors import ConnectorError
from integration_hub.integration_hub import bulk, field_permissions, source_look, stream_status, worker_checks
from integration_hub.integration_hub.messages import in_language, refuse
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores.database import in_transaction
from integration_hub.stores.runtime import HubError
from integration_hub.sync import dry_runs as sync_dryrun
from integration_hub.sync.modes import Period, mode_of
from integration_hub.sync.schedule import switch_on as switch_stream_on
from integration_hub.sync.schedule import want
from integration_hub.sync.times import parse_time, utc_text, zone

T = TypeVar("T")
PERSON_WAITS = 5  # pages that a dry run looks at while a person waits


@frappe.whitelist(methods=["POST"])
def sync_now(stream: str, switch_on: bool | str = False) -> list[str]:
	"""Hand a stream to a worker; return what may keep it from being done, for a person.

	One that is new is switched on by it. switch_on: one that somebody has switched off, too.
	"""
	doc = runnable(stream, off=frappe.utils.sbool(switch_on) is True)
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
	doc = runnable(stream, out_of_turn=True)
	return _backfill(doc, lambda: _period(stream, since, until))


@frappe.whitelist(methods=["POST"])
def backfill_again(sync_log: str) -> list[str]:
	"""Have a worker fetch the range of time once more that a backfill did not finish; return warnings."""
	log = frappe.get_doc("Sync Log", sync_log)
	log.check_permission("read")
	doc = runnable(log.stream, out_of_turn=True)
	if log.mode != "Backfill" or not log.period:
		frappe.throw(_("{0} is not a backfill.").format(sync_log))
	return _backfill(doc, lambda: Period.parse(log.period))


def _backfill(doc: Document, read: Callable[[], Period]) -> list[str]:
	"""Hand a backfill over, once its range of time is read and the stream can be asked for one."""
	try:
		period = read()
		mode_of(doc.config(), period)
	except HubError as error:
		refuse(error)
	return hand_over(
		"integration_hub.jobs.run_stream",
		job_id=f"integration_hub:backfill:{doc.name}:{period}",
		stream=doc.name,
		since=period.since,
		until=period.until,
	)


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
def look_at_source(doc: str | dict) -> dict:
	"""Fetch the first page of a form's source and return what is in it; see looking.look_at_source."""
	return source_look.look_at_source(doc)


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
def stream_state(stream: str) -> dict:
	"""Return the runs of a stream, for its form; see stream_status.state."""
	frappe.get_doc("Sync Settings", stream).check_permission("read")
	return stream_status.state(stream)


@frappe.whitelist(methods=["GET"])
def running_streams() -> list[dict]:
	"""Return the runs that go on, of the streams the user may read; see stream_status.running."""
	names = frappe.get_list("Sync Settings", filters={"status": "Running"}, pluck="name", limit_page_length=0)
	return stream_status.running(names) if names else []
