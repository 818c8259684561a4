"""Asking the source what became of a record, where an event says so in what its sender has not signed."""

from __future__ import annotations

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
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.mapping import Mapper

HELD = _(
	"The event's type is not signed, and nothing confirms that the record is gone, because the stream has no Endpoint of "
	"One Record. If the record is gone, use Handle as a New Event."
)


@dataclass(frozen=True)
class Asked:
	"""The source's answer about one record: the record, None if it is gone."""

	record: Mapping[str, Any] | None


class Held(Exception):
	"""The event has to wait until a person has looked at it; the text says why."""


def is_unsigned(row: Row, what: str = "type") -> bool:
	"""Tell whether an event's sender has not signed its type, or its id or time."""
	return what in (row.get("unsigned") or "").split(", ")


@contained
def ask(runtime: Runtime, stream: StreamConfig, record: Mapping[str, Any]) -> Asked:
	"""Fetch a record from the source; not within a transaction.

	Raises ConnectorError, Held where no endpoint is known, and HubError where the answer is not the record.
	"""
	mapper = Mapper(stream, runtime.local_time, runtime.transforms())
	external_id = mapper.external_id(record)
	path, inside = _place(runtime, stream)
	if not path:
		raise Held(str(HELD))
	with closing(runtime.connector(stream.integration)) as connector:
		try:
			answer = connector.get(path.replace("{id}", quote(external_id, safe="")))
		except (NotFound, Gone):
			return Asked(None)
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
	return Asked(found)


def _place(runtime: Runtime, stream: StreamConfig) -> tuple[str, str]:
	"""Return where one record is fetched, and where the answer holds it."""
	if not stream.record_endpoint and runtime.integration(stream.integration).connector == "Frappe":
		return f"{stream.endpoint.rstrip('/')}/{{id}}", "data"
	return stream.record_endpoint, stream.record_answer_path
