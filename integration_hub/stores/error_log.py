"""Integration Error Log: one row a distinct failure, counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from integration_hub.stores.database import insert, update
from integration_hub.stores.ids import key, new_id
from integration_hub.stores.runtime import Runtime

DOCTYPE = "Integration Error Log"
TOLD_OF = "Watch"  # operation of rows that tell people of a problem: its cause has a row of its own
SYSTEM = "System"  # what a failure is about that all calls of an integration may meet
_VARYING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|'[^']*'|\d+", re.IGNORECASE)


class Redacts(Protocol):
	"""A redactor of texts and tracebacks, such as a connector's."""

	def text(self, text: object, limit: int | None = None) -> str:
		"""Return the text without secrets."""

	def trace(self, error: BaseException, limit: int) -> str:
		"""Return the traceback of an error without secrets."""


def record_error(
	runtime: Runtime,
	error: BaseException,
	*,
	operation: str,
	integration: str,
	redactor: Redacts,
	times: int = 1,
	**where: str | None,
) -> str | None:
	"""Log a failure within the current transaction; return the row's name, if it can be seen yet.

	operation: what was being done (Sync, Webhook, Queue, Test Connection).
	times: how often it happened.
	where: stream, sync_log, webhook_log, external_id, as far as they are known.
	The same failure again counts up the row it has, and opens it if somebody had resolved it.
	"""
	message = redactor.text(error, 1000) or type(error).__name__
	kind = redactor.text(_own_text(error, "kind") or type(error).__name__, 100)
	fingerprint, where = _fingerprint(error, message, [integration, operation, kind], where)
	values = {
		"kind": kind,
		"message": message,
		"traceback": redactor.trace(error, 20_000),
		"status": "Open",
		"last_seen_at": runtime.now(),
		**_request(error),
		**{name: value for name, value in where.items() if value},
	}
	if found := _count_up(runtime, fingerprint, values, times):
		return found
	row = {
		"integration": integration,
		"operation": operation,
		"fingerprint": fingerprint,
		"occurrences": times,
	}
	try:
		with runtime.db.savepoint():
			return _add(runtime, {**row, **values})
	except runtime.db.errors as failure:
		if not runtime.db.is_duplicate(failure):
			raise
		# None: it was written since our snapshot, and is counted there.
		return _count_up(runtime, fingerprint, values, times)


def resolve_errors(runtime: Runtime, **where: str) -> None:
	"""Mark open failures as resolved, within the current transaction, when what failed has gone well since."""
	condition = " AND ".join(f"`{column}` = %({column})s" for column in where)
	sql = f"UPDATE `tab{DOCTYPE}` SET `status` = 'Resolved', `modified` = %(_now)s WHERE `status` = 'Open' AND {condition}"
	runtime.db.execute(sql, {**where, "_now": runtime.now()})


def _fingerprint(
	error: BaseException, message: str, scope: list[str], where: Mapping[str, str | None]
) -> tuple[str, Mapping[str, str | None]]:
	"""Return the key of the row that an error is counted in, and what the row is about.

	scope: integration, operation and kind. An error that names its cause has one row, whatever met it.
	"""
	integration, _, kind = scope
	if cause := _own_text(error, "cause"):
		return key(integration, SYSTEM, kind, _digest(cause)), {**where, "about": SYSTEM}
	# `distinct`: what tells one failure from another, where its message holds what a stranger chose.
	distinct = _own_text(error, "distinct") or message
	return key(*scope, where.get("stream") or "", _digest(distinct)), where


def _digest(text: str) -> str:
	"""Return the beginning of a text without what varies in it: numbers, ids and quoted values."""
	return _VARYING.sub("#", text)[:200]


def _add(runtime: Runtime, values: Mapping[str, Any]) -> str:
	"""Insert a row; return its name."""
	now, owner = runtime.now(), runtime.owner()
	row = {"name": new_id(), "creation": now, "modified": now, "owner": owner, "modified_by": owner}
	insert(runtime.db, DOCTYPE, {**row, "first_seen_at": now, **values})
	return row["name"]


def _count_up(runtime: Runtime, fingerprint: str, values: Mapping[str, Any], times: int) -> str | None:
	sql = f"SELECT `name`, `occurrences` FROM `tab{DOCTYPE}` WHERE `fingerprint` = %s"
	for row in runtime.db.query(sql, [fingerprint]):
		changed = {**values, "modified": runtime.now(), "occurrences": row["occurrences"] + times}
		update(runtime.db, DOCTYPE, row["name"], changed)
		return row["name"]
	return None


def _own_text(error: BaseException, name: str) -> str:
	"""Return what an error says of itself under a name, "" where that is no text: an app's errors have any attributes."""
	try:
		value = getattr(error, name, "")
	except Exception:  # noqa: BLE001 - the boundary of an app's error class, whose attributes may fail with anything
		return ""
	return value if isinstance(value, str) else ""


def _request(error: BaseException) -> dict[str, Any]:
	"""Return the request and the answer of a connector error, which are redacted already; nothing of any other error."""
	# Errors of other libraries have a `status`, too: of a request of an app's own, which nobody has redacted.
	if not getattr(type(error), "is_redacted", False):
		return {}
	return {
		"request": f"{error.method} {error.url}".strip()[:500],
		"response_status": error.status or 0,
		"response_body": error.body,
	}
