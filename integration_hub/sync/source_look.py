"""A look at a source before a stream is saved: its answer, the lists and keys in it, and the pagination it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from integration_hub.connectors.answer_shape import Place, keys_in, lists_in, pagination_in
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.bounded_jmespath import PathError, computes, search
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.known_secrets import KnownSecrets, is_secret
from integration_hub.connectors.redact import MASK
from integration_hub.connectors.rest import find_records
from integration_hub.lazy_messages import _
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.source import first_request

_ITEMS = 3  # items of a list that are shown
_KEYS = 100  # keys of an object that are shown
_TEXT = 200  # characters of a value
_NODES = 3000  # values of the whole answer that are shown
_LISTS = 8


def look(runtime: Runtime, stream: StreamConfig) -> dict[str, Any]:
	"""Fetch the first page of a source, and return what a person needs to set a stream up.

	{"url", "answer": in short, "lists": [{"path", "count", "records", "keys"}], "records_path": the one that is set, else the
	likeliest, "problem": why that leads to no records, "keys": [{"path", "sample", "rows"}], "pagination": settings}.
	All of it is redacted. Raises HubError and ConnectorError.
	"""
	integration = runtime.integration(stream.integration)
	if not integration.enabled:
		place = {"doctype": "Integration Settings", "name": integration.name}
		raise HubError(_("is disabled"), **place, field="enabled")
	with (
		runtime.as_user(integration.run_as_user),
		closing(runtime.connector(stream.integration)) as connector,
	):
		answer, headers, url = connector.first_answer(first_request(runtime, connector, stream))
		shown = _Shown(connector)
		lists = [place for place in lists_in(answer) if place.records][:_LISTS]
		path = stream.records_path or (lists[0].path if lists else "")
		records, problem = _records(answer, path, shown.known)
		return {
			"url": connector.redactor.text(url, 300),
			"answer": shown.short(answer),
			"lists": [{**asdict(place), "keys": _keys(connector, answer, place)} for place in lists],
			"records_path": path,
			"problem": connector.redactor.text(problem, 500),
			"keys": _shown_keys(connector, records),
			"pagination": pagination_in(answer, headers, url),
		}


def _keys(connector: BaseConnector, answer: Any, place: Place) -> list[dict[str, Any]]:
	return _shown_keys(connector, search(place.path, answer) if place.path else answer)


def _shown_keys(connector: BaseConnector, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
	shown = _Shown(connector)
	return [{**asdict(key), "sample": shown.named(key.path, key.sample)} for key in keys_in(records)]


def _records(answer: Any, path: str, known: KnownSecrets) -> tuple[list[dict[str, Any]], str]:
	try:
		if path and computes(path) and known.stands_in_any(answer):
			return [], str(is_secret())  # turned round it would be none that is known
		return find_records(answer, path), ""
	except (MalformedAnswer, PathError) as error:
		return [], getattr(error, "detail", "") or str(error)


class _Shown:
	"""Makes of an answer what a person is shown: no secret, and not more than can be read."""

	def __init__(self, connector: BaseConnector) -> None:
		self._redactor, self.known = connector.redactor, KnownSecrets(connector.redactor)
		self._left = _NODES

	def short(self, value: Any) -> Any:
		self._left -= 1
		if self._left < 0:
			return "…"
		if isinstance(value, Mapping):
			items = list(value.items())
			found = {self._redactor.text(key, 100): self.named(key, inner) for key, inner in items[:_KEYS]}
			return {**found, "…": f"{len(items) - _KEYS} more"} if len(items) > _KEYS else found
		if isinstance(value, list):
			found = [self.short(item) for item in value[:_ITEMS]]
			return [*found, f"… {len(value) - _ITEMS} more"] if len(value) > _ITEMS else found
		if isinstance(value, str):
			return MASK if self.known.stands_in(value) else self._redactor.text(value, _TEXT)
		return MASK if self.known.stands_in(repr(value)) else value

	def named(self, name: object, value: Any) -> Any:
		"""Return a value as it is shown under its name: one that is called a secret is none of a person's business."""
		if (
			isinstance(value, str | int | float)
			and self._redactor.headers({str(name): "x"})[str(name)] == MASK
		):
			return MASK
		return self.short(value)
