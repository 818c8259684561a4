"""The DocTypes of a site that outbound streams send, and the rows of the outbox that note their changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import frappe
from frappe.utils.caching import redis_cache

from integration_hub.connectors.app_code import attempt
from integration_hub.outbound.config import OutboundStream, outbound_streams
from integration_hub.runtime.frappe.database import FrappeDatabase
from integration_hub.stores import outbox
from integration_hub.terminal_text import logger_of

logger = logger_of("integration_hub.outbound")

_KNOWN_SECONDS = (
	1.0  # a process learns of a new stream after so long; the scan finds what was changed until then
)


@dataclass(frozen=True)
class Watched:
	"""The streams that send one DocType: the integrations to wake, whether any keeps records, and those of events."""

	integrations: tuple[str, ...]
	keeps_records: bool
	events: tuple[OutboundStream, ...]


_known: dict[str, tuple[float, dict[str, Watched]]] = {}  # by site: until when, and what is watched


def forget_watched() -> None:
	"""Have the next save, and the next form, look for outbound streams: they have changed."""
	_known.pop(frappe.local.site, None)
	doctypes_sent.clear_cache()


@redis_cache
def doctypes_sent() -> list[str]:
	"""Return the DocTypes of outbound streams, of those too that are off: there may be deliveries of their documents."""
	return frappe.get_all("Sync Settings", {"direction": "Out"}, pluck="target_doctype", distinct=True)


def watched() -> dict[str, Watched]:
	"""Return the DocTypes that outbound streams send, as they were known a second ago at the earliest."""
	known = _known.get(frappe.local.site)
	if known and known[0] > time.monotonic():
		return known[1]
	return _look()


def _look() -> dict[str, Watched]:
	found: dict[str, Watched] = {}
	with attempt(FrappeDatabase().is_transient) as looking:
		if "direction" in frappe.db.get_db_table_columns(
			"tabSync Settings"
		):  # else the site waits for its migration
			found = _find()
	if looking.error:
		logger.error("Outbound streams could not be read (%s)", type(looking.error).__name__)
	_known[frappe.local.site] = (time.monotonic() + _KNOWN_SECONDS, found)
	return found


def _find() -> dict[str, Watched]:
	streams: dict[str, list[OutboundStream]] = {}
	for stream in outbound_streams(FrappeDatabase()):
		streams.setdefault(stream.target_doctype, []).append(stream)
	return {
		doctype: Watched(
			tuple(sorted({stream.integration for stream in mine})),
			any(not stream.is_event for stream in mine),
			tuple(stream for stream in mine if stream.is_event),
		)
		for doctype, mine in streams.items()
	}


_COLUMNS = (
	"name",
	"reference_doctype",
	"document",
	"operation",
	"stream",
	"note",
	"payload",
	"creation",
	"modified",
	"owner",
)
_INSERT = f"INSERT INTO `tab{outbox.DOCTYPE}` ({', '.join(f'`{c}`' for c in _COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"


def append(rows: Sequence[tuple[str | None, ...]]) -> None:
	"""Add rows to the outbox, within the current transaction.

	Not counted among the writes of the transaction, of which Frappe allows so many: they are not the user's.
	"""
	now, owner = frappe.utils.now(), frappe.session.user
	for row in rows:
		if frappe.db.db_type == "mariadb":
			frappe.db._cursor.execute(_INSERT, (*row, now, now, owner))
		else:
			frappe.db.sql(_INSERT, (*row, now, now, owner))


_NOT_NOTED = "A change could not be noted in the outbox (%s); the scan finds it"


def guarded(work: Callable[[], None], said: str = _NOT_NOTED) -> None:
	"""Do a write whose failure fails no save; raises what has undone the user's transaction, which is lost anyway.

	said: in the site's log, of a failure, with its kind.
	"""
	db = FrappeDatabase()
	# An error leaves a transaction of Postgres good for nothing but a rollback.
	with attempt(db.is_transient) as writing, db.savepoint() if db.dialect == "postgres" else nullcontext():
		work()
	if writing.error:
		logger.error(said, type(writing.error).__name__)


def note_rows(doctype: str, names: Sequence[str], operation: str) -> None:
	"""Note what was written past documents, in bulk, within the current transaction."""
	if names and (found := watched().get(doctype)) and found.keeps_records:
		rows = [outbox.change(doctype, name, operation) for name in names]
		guarded(lambda: append(rows))


def sends_events(doctype: str) -> str:
	"""Return the name of a stream that sends each change of a DocType as an event, "" if there is none."""
	found = watched().get(doctype)
	return found.events[0].name if found and found.events else ""
