"""Open failures and records that could not be written, as a person asks for them: on both runtimes."""

from __future__ import annotations

from collections.abc import Sequence

from integration_hub.lazy_messages import _
from integration_hub.stores import bindings
from integration_hub.stores.database import Row, chunks, in_list
from integration_hub.stores.error_log import DOCTYPE, TOLD_OF
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.stores.settings import existing_names
from integration_hub.stores.status_facts import restate

STATUSES = ("Open", "Resolved")
_SHOWN = (
	"name",
	"status",
	"integration",
	"stream",
	"operation",
	"kind",
	"occurrences",
	"last_seen_at",
	"message",
)
_RECORD = (
	"name",
	"stream",
	"external_id",
	"status",
	"attempts",
	"retry_at",
	"target_doctype",
	"target_name",
	"error",
	"error_log",
)


def find(
	runtime: Runtime, *, integration: str = "", stream: str = "", status: str = "Open", limit: int = 20
) -> list[Row]:
	"""Return failures, the last seen first, without request, answer and traceback; status: "" for any.

	A problem that people were notified of (the operation Watch) is none by itself: its cause has a row of its own.
	"""
	where, values = ["`operation` <> %s"], [TOLD_OF]
	for column, value in (("integration", integration), ("stream", stream), ("status", status)):
		if value:
			where.append(f"`{column}` = %s")
			values.append(value)
	columns = ", ".join(f"`{column}`" for column in _SHOWN)
	sql = f"""SELECT {columns} FROM `tab{DOCTYPE}` WHERE {" AND ".join(where)}
		ORDER BY `last_seen_at` DESC LIMIT {int(limit)}"""
	return runtime.db.query(sql, values)


def get(runtime: Runtime, name: str) -> Row:
	"""Return a failure whole, with request, answer and traceback; raises HubError if there is none."""
	rows = runtime.db.query(f"SELECT * FROM `tab{DOCTYPE}` WHERE `name` = %s", [name])
	if not rows:
		raise HubError(_("does not exist"), doctype=DOCTYPE, name=name)
	return rows[0]


def mark(runtime: Runtime, names: Sequence[str], status: str) -> int:
	"""Mark failures as Resolved, or as Open again, within the current transaction; return how many there are.

	The status of their streams follows. One opens again if it happens again. Raises HubError for a name that is no
	failure's; nothing is marked then.
	"""
	if status not in STATUSES:
		raise HubError(_("is neither Open nor Resolved"), doctype=DOCTYPE, field="status")
	known = existing_names(runtime.db, DOCTYPE, names)
	if missing := next((name for name in names if name not in known), None):
		raise HubError(_("does not exist"), doctype=DOCTYPE, name=missing)
	streams: set[str] = set()
	for some in chunks(list(dict.fromkeys(names)), 1000):
		marks, values = in_list(some)
		sql = f"SELECT DISTINCT `stream` FROM `tab{DOCTYPE}` WHERE `name` IN ({marks})"
		streams |= {row["stream"] for row in runtime.db.query(sql, values) if row["stream"]}
		sql = f"UPDATE `tab{DOCTYPE}` SET `status` = %s, `modified` = %s WHERE `name` IN ({marks})"
		runtime.db.execute(sql, [status, runtime.now(), *values])
	for stream in sorted(existing_names(runtime.db, "Sync Settings", list(streams))):
		restate(runtime, stream)
	return len(known)


def resolve_rejections(runtime: Runtime, integration: str = "") -> int:
	"""Resolve, within the current transaction, what counts requests that were rejected; return how many rows."""
	where, values = ("AND `integration` = %s", [integration]) if integration else ("", [])
	sql = f"""UPDATE `tab{DOCTYPE}` SET `status` = 'Resolved', `modified` = %s
		WHERE `status` = 'Open' AND `about` = 'Rejection' {where}"""
	return runtime.db.execute(sql, [runtime.now(), *values])


def records(
	runtime: Runtime,
	stream: str,
	*,
	statuses: Sequence[str] = (),
	error_log: str = "",
	limit: int = 20,
	payload: bool = False,
) -> list[Row]:
	"""Return records of a stream, by external id: in some states (any, if none is given), kept back by a failure.

	payload: with the record as the source sent it, where it is kept.
	"""
	of, values = bindings.of_stream(stream)
	where = [of]
	if statuses:
		marks, listed = in_list(statuses)
		where.append(f"`status` IN ({marks})")
		values += listed
	if error_log:
		where.append("`error_log` = %s")
		values.append(error_log)
	columns = ", ".join(f"`{column}`" for column in (*_RECORD, *(("payload",) if payload else ())))
	sql = f"""SELECT {columns} FROM `tab{bindings.DOCTYPE}` WHERE {" AND ".join(where)}
		ORDER BY `external_id`, `name` LIMIT {int(limit)}"""
	return runtime.db.query(sql, values)
