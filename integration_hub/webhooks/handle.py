"""What an event does: its route's action, within the transaction that completes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jmespath

from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.registry import resolve
from integration_hub.stores import bindings
from integration_hub.stores.database import Row
from integration_hub.stores.home import Home, HubError
from integration_hub.stores.ids import new_id
from integration_hub.sync.page import PageWriter
from integration_hub.sync.run import load_stream
from integration_hub.sync.schedule import want
from integration_hub.webhooks.events import Route

Reference = dict[str, str]


class HandlerFailed(Exception):
	"""The record of an event could not be written; the text says why."""


def handle(home: Home, row: Row, route: Route, redactor: Redactor) -> Reference:
	"""Do what the route says with an event; return the document it made, as columns of its row.

	Raises whatever keeps it from being done; the caller rolls back.
	"""
	payload = json.loads(row["payload"])
	if route.action == "Upsert Record":
		return _write_record(home, row, route, payload, redactor, deleted=None)
	if route.action == "Delete Record":
		return _write_record(home, row, route, payload, redactor, deleted=True)
	if route.action == "Start Sync":
		want(home, route.stream)  # commits with the event; the next tick takes it up
		return {}
	if route.action == "Call Function":
		_call(home, row, route, payload)
		return {}
	raise HubError(
		f"unknown action {route.action!r}", doctype="Integration Settings", name=row["integration"]
	)


def _write_record(
	home: Home, row: Row, route: Route, payload: Any, redactor: Redactor, *, deleted: bool | None
) -> Reference:
	"""Write or remove one record through the stream's mapping and bindings, as a sync would."""
	record = jmespath.search(route.record_path, payload) if route.record_path else payload
	if not isinstance(record, Mapping):
		raise HandlerFailed(f"There is no record at {route.record_path or '(whole body)'!r} of the event.")
	stream = load_stream(home, route.stream)
	# A webhook body holds the record where the route says; a list's own deletion mark may not apply.
	stream = stream if deleted is None else replace(stream, deleted_path="")
	writer = PageWriter(
		home,
		stream,
		redactor,
		seen=new_id(),
		operation="Webhook",
		current=False,
		webhook_log=row["name"],
	)
	counts = writer.write([record], deleted=deleted)
	external_id = writer.mapper.external_id(record)
	binding = bindings.load(home.db, stream.name, [external_id])[external_id]
	if counts.failed:
		raise HandlerFailed(writer.first_error or "The record could not be written.")
	if binding.target_name:
		return {"reference_doctype": stream.target_doctype, "reference_name": binding.target_name}
	return {}


def _call(home: Home, row: Row, route: Route, payload: Any) -> None:
	registered = home.handlers()
	if route.handler not in registered:
		raise HubError(
			f"handler {route.handler!r} is not registered",
			doctype="Integration Settings",
			name=row["integration"],
			field="routes",
		)
	event = {
		"integration": row["integration"],
		"event_type": row["event_type"],
		"event_id": row["event_id"],
		"name": row["name"],
	}
	resolve(registered[route.handler])(payload, event)
