"""The pages of a stream's source: all of its lists, and the records within records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.bounded_jmespath import PathError, search
from integration_hub.connectors.completeness_signs import says_yes
from integration_hub.connectors.errors import ConfigurationError, MalformedAnswer
from integration_hub.connectors.known_secrets import KnownSecrets, is_secret
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.lazy_messages import _
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.bound_parents import BOUND, BoundParents
from integration_hub.sync.config import StreamConfig, load_stream, statuses
from integration_hub.sync.flatten import flattened_page
from integration_hub.sync.restarts import Fetch, Restarts, restarting
from integration_hub.sync.stream_slices import (
	Parents,
	Slicer,
	Values,
	Windows,
	sliced,
	window_seconds,
	with_slice,
)
from integration_hub.sync.times import is_no_time, parse_zone, utc_reader

MOST_LEVELS = 5  # levels of streams within streams


def source_pages(
	runtime: Runtime, connector: BaseConnector, stream: StreamConfig, request: ListRequest, level: int = 1
) -> Iterator[Page]:
	"""Fetch what a stream asks for, page by page. Raises ConnectorError; HubError for a parent that is not there."""
	slicers = _slicers(runtime, connector, stream, request, level)
	fetch = _list_of(connector, stream)
	if stream.slice_values or stream.window:
		fetch = partial(with_slice, fetch)
	pages = sliced(slicers, fetch, request)
	return (flattened_page(page, stream.flatten_path) for page in pages) if stream.flatten_path else pages


def _list_of(connector: BaseConnector, stream: StreamConfig) -> Fetch:
	"""Return what fetches one list of a stream: as a whole, or part by part where the source shows so much at a time."""
	if not stream.restart_key:
		return connector.pages
	known = KnownSecrets(connector.redactor)

	def check(key: str) -> None:
		if known.stands_in(key):
			raise MalformedAnswer(f"restart_key: {is_secret()}")

	rule = Restarts(
		stream.restart_key,
		is_id=stream.restart_key == stream.id_path,
		records=stream.restart_after,
		pages=stream.restart_pages,
		statuses=statuses(stream.restart_statuses),
		time=None if stream.uses("last_key") else utc_reader(stream.updated_at_format, stream.time_zone),
		check=check,
	)
	return partial(_restarting, connector.pages, rule)


def _restarting(fetch: Fetch, rule: Restarts, request: ListRequest) -> Iterator[Page]:
	return restarting(fetch, request, rule)


class _Asked(Exception):
	"""The request for a list, carried out of the connector instead of being sent."""

	def __init__(self, request: ListRequest) -> None:
		self.request = request


def first_request(runtime: Runtime, connector: BaseConnector, stream: StreamConfig) -> ListRequest:
	"""Return the request for the first page of a stream, of the first of its lists where it has many.

	Raises what source_pages does.
	"""

	def ask(request: ListRequest) -> Iterator[Page]:
		raise _Asked(request)

	asked = stream.list_request()
	try:
		for _page in sliced(_slicers(runtime, connector, stream, asked, 1), ask, asked):
			break
	except _Asked as first:
		return first.request
	return asked


def _slicers(
	runtime: Runtime, connector: BaseConnector, stream: StreamConfig, request: ListRequest, level: int
) -> list[Slicer]:
	found: list[Slicer] = []
	if stream.parent_stream:
		found.append(_parents(runtime, connector, stream, request, level))
	if values := [line.strip() for line in stream.slice_values.splitlines() if line.strip()]:
		found.append(Values(tuple(dict.fromkeys(values))))
	if stream.window:
		found.append(_windows(stream))
	return found


def _windows(stream: StreamConfig) -> Windows:
	zone = parse_zone(stream.time_zone)
	return Windows(window_seconds(stream.window), stream.window_start, stream.window_end, zone)


def _parents(
	runtime: Runtime, connector: BaseConnector, stream: StreamConfig, request: ListRequest, level: int
) -> Slicer:
	if level >= MOST_LEVELS:
		problem = _("streams within streams go {0} levels deep at most", MOST_LEVELS)
		raise ConfigurationError(f"parent_stream: {problem}", field="parent_stream")
	parent = load_stream(runtime, stream.parent_stream)
	if parent.integration != stream.integration:  # its endpoint and headers are another system's to see
		problem = f"{parent.name!r} is of the integration {parent.integration!r}"
		raise ConfigurationError(f"parent_stream: {problem}", field="parent_stream")
	if stream.parent_source == BOUND:
		return BoundParents(runtime, parent)
	fetch = partial(source_pages, runtime, connector, parent, level=level + 1)
	if not stream.parent_changed_only:
		return Parents(partial(_passing, fetch, parent), parent.list_request(), partial(_is_gone, parent))
	asked = parent.list_request(since=request.since)
	return Parents(partial(_passing, fetch, parent), asked, partial(_is_gone, parent), _time_of(parent))


def _time_of(parent: StreamConfig) -> Callable[[Mapping[str, Any]], str]:
	"""Return what reads when a parent changed. Raises ConfigurationError where nothing says so."""
	if not parent.updated_at_path:
		problem = _("{0!r} has no Updated At Path, which says when a parent changed", parent.name)
		raise ConfigurationError(f"parent_stream: {problem}", field="parent_stream")
	read = utc_reader(parent.updated_at_format, parent.time_zone)

	def time_of(record: Mapping[str, Any]) -> str:
		try:
			found = search(parent.updated_at_path, record)
			return "" if found in (None, "") or is_no_time(found) else read(found)
		except (PathError, ValueError):
			return ""  # it moves no watermark

	return time_of


def _passing(fetch: partial[Iterator[Page]], parent: StreamConfig, request: ListRequest) -> Iterator[Page]:
	"""Fetch the parents that pass their stream's own filter, and those that were deleted."""
	for page in fetch(request):
		yield replace(page, records=[record for record in page.records if _passes(record, parent)])


def _is_gone(parent: StreamConfig, record: Mapping[str, Any]) -> bool:
	"""Tell whether a parent is marked as deleted: it has no list any more."""
	try:
		found = search(parent.deleted_path, record) if parent.deleted_path else None
	except PathError:
		return False
	return says_yes(found) and not is_no_time(found)


def _passes(record: dict, parent: StreamConfig) -> bool:
	try:
		if _is_gone(parent, record):
			return True
		return not parent.record_filter or says_yes(search(parent.record_filter, record))
	except PathError:
		return True
