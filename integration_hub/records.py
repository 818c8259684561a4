"""Public functions for handlers in code: records in and out of streams, as events write them.

In a handler, what they do is part of the event's transaction: all of it commits with the event's end, or nothing does.
Elsewhere on a site it is part of the current transaction, done as the current user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integration_hub.stores.runtime import HubError
from integration_hub.webhooks.records import Records, current


def upsert(stream: str, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
	"""Write records, as the source sends them, through a stream's mapping; return document names by external id.

	Raises RecordsFailed if one of them cannot be written, HubError if there is no such stream.
	"""
	return _records().upsert(stream, records)


def delete(stream: str, external_ids: Sequence[str]) -> None:
	"""Remove the documents of records as the stream's Deletion Policy says; what is not bound is no error.

	Raises RecordsFailed if one of them cannot be removed, HubError if there is no such stream.
	"""
	_records().delete(stream, external_ids)


def bind(stream: str, external_id: str, document: str) -> None:
	"""Have a document that is there stand for a record from now on; the stream never deletes it.

	Raises HubError if there is no such document, or if one of the two is bound already to another.
	"""
	_records().bind(stream, external_id, document)


def document_of(stream: str, external_id: str) -> str | None:
	"""Return the name of the document that stands for a record, None if there is none."""
	return _records().document_of(stream, external_id)


def external_id_of(document: str, stream: str) -> str | None:
	"""Return the external id of the record that a document stands for in a stream, None if it stands for none."""
	return _records().external_id_of(document, stream)


def _records() -> Records:
	if found := current():
		return found
	try:
		from integration_hub.runtime.frappe import FrappeRuntime
	except ImportError:  # no bench
		raise HubError("There is no runtime: without a bench, this is for handlers of events.") from None
	return Records(FrappeRuntime())
