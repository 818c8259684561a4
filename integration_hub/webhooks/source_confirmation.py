"""Asking the source what became of a record, where an event says so in what its sender has not signed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from integration_hub.connectors.app_code import contained
from integration_hub.connectors.bounded_jmespath import computes, search
from integration_hub.connectors.errors import Gone, NotFound
from integration_hub.connectors.known_secrets import KnownSecrets, is_secret
from integration_hub.lazy_messages import _
from integration_hub.stores.database import Row
from integration_hub.stores.ids import new_id, utc_made_at
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.mapping import Mapper

HELD = _(
	"The event's type is not signed, and nothing confirms that the record is gone, because the stream has no Endpoint of "
	"One Record. If the record is gone, use Handle as a New Event."
)

_NAMES = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True)
class Asked:
	"""The source's answer about one record: the record, None if it is gone. at: when it was asked, as UTC text."""

	external_id: str
	record: Mapping[str, Any] | None
	at: str


class Held(Exception):
	"""The event has to wait until a person has looked at it; the text says why."""


def is_unsigned(row: Row, what: str = "type") -> bool:
	"""Tell whether an event's sender has not signed its type, or its id or time."""
	return what in (row.get("unsigned") or "").split(", ")


@contained
def ask(runtime: Runtime, stream: StreamConfig, external_id: str) -> Asked:
	"""Fetch a record from the source by its id, with the budget and the retries of its connector; not within a transaction.

	Raises ConnectorError, Held where no endpoint is known, and HubError where the answer is not the record.
	"""
	mapper = Mapper(stream, runtime.local_time, runtime.transforms())
	path, inside = _place(runtime, stream)
	if not path:
		raise Held(str(HELD))
	at = utc_made_at(new_id())
	with closing(runtime.connector(stream.integration)) as connector:
		try:
			answer = connector.get(path.replace("{id}", quote(external_id, safe="")))
		except (NotFound, Gone):
			return Asked(external_id, None, at)
		known = mapper.known = KnownSecrets(connector.redactor)
	if inside and computes(inside) and known.stands_in_any(answer):
		place = {"doctype": "Sync Settings", "name": stream.name}
		raise HubError(is_secret(), **place, field="record_answer_path")
	found = search(inside, answer) if inside else answer
	if not isinstance(found, Mapping) or mapper.external_id(found) != external_id:
		raise HubError(
			_("the response is not the record {0!r}", external_id),
			doctype="Sync Settings",
			name=stream.name,
			field="record_endpoint",
		)
	return Asked(external_id, found, at)


def identified(stream: StreamConfig, external_id: str) -> dict[str, Any]:
	"""Return a record that is nothing but its id; raises HubError where the stream's ID Path is more than names."""
	if not _NAMES.fullmatch(stream.id_path):
		raise HubError(
			_("has to be names with dots between, to delete a record that is gone"),
			doctype="Sync Settings",
			name=stream.name,
			field="id_path",
		)
	record: Any = external_id
	for name in reversed(stream.id_path.split(".")):
		record = {name: record}
	return record


def _place(runtime: Runtime, stream: StreamConfig) -> tuple[str, str]:
	"""Return where one record is fetched, and where the answer holds it."""
	if not stream.record_endpoint and runtime.integration(stream.integration).connector == "Frappe":
		return f"{stream.endpoint.rstrip('/')}/{{id}}", "data"
	return stream.record_endpoint, stream.record_answer_path
