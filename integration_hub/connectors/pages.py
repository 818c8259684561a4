"""Requests for a list, and the pages that come back: the same for all connectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from integration_hub.connectors.completeness_doubt import Doubt
from integration_hub.connectors.time_bounds import TimeBound


@dataclass(frozen=True)
class ListRequest:
	"""A list to fetch.

	endpoint, params, headers, body and variables may hold placeholders (see connectors.placeholders); values: what
	those beside the paginator's stand for (`parent`, `settings`). headers: one `Name: value` a line. body_format: see
	connectors.request_template. params: the query; a list of values sends its name once for each. response: options of connectors.response_format. pagination: kind and options, as connectors.pagination.make_paginator takes them.
	state: where to resume, "" for the beginning. since: only what changed at or after this time (UTC, ISO
	8601), "" for everything; since_param: the query parameter that says so. until, until_param: the same for an
	end, which a connector may leave to the caller. by_time: a watermark will be made
	of what is read, so what changes during the fetch has to be met by it or come after it. with_deletions:
	tombstones are wanted too, where the source has them. lanes: how many pages may be fetched at a time. ahead:
	may a page that can be counted off be fetched while the caller writes the one before it? Not where asking for
	it tells the source that the one before is safe. passed: how many pages and records of this fetch came before `state`,
	None if that is not known. id_path: where a record holds its id, "" if that is not known. end_statuses: with which the source refuses a
	page behind the end. begun: have the first page fetched at once, before it is asked for. records_optional: nothing at the records path means no records, and one object is a list of one. time_zone, time_precision, since_exclusive, until_exclusive: how the source takes the bounds (see
	connectors.time_bounds).
	"""

	endpoint: str
	method: str = "GET"
	headers: str = ""
	body_format: str = ""
	body: str = ""
	variables: str = ""
	values: Mapping[str, Any] = field(default_factory=dict)
	params: Mapping[str, str | list[str]] = field(default_factory=dict)
	records_path: str = ""
	records_optional: bool = False
	response: Mapping[str, str] = field(default_factory=dict)
	pagination: Mapping[str, Any] = field(default_factory=dict)
	state: str = ""
	since: str = ""
	since_param: str = ""
	until: str = ""
	until_param: str = ""
	by_time: bool = False
	with_deletions: bool = False
	lanes: int = 1
	ahead: bool = False
	passed: tuple[int, int] | None = None
	id_path: str = ""
	end_statuses: tuple[int, ...] = ()
	begun: bool = False
	time_zone: str = ""
	time_precision: str = ""
	since_exclusive: bool = False
	until_exclusive: bool = False

	def bound(self, name: str) -> TimeBound | None:
		"""Return `since` or `until` as the source takes it, None for no bound; raises ValueError for what is no time."""
		if not (text := getattr(self, name)):
			return None
		moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
		moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
		exclusive = getattr(self, f"{name}_exclusive")
		return TimeBound(moment, name == "until", self.time_zone, self.time_precision, exclusive, text)


@dataclass(frozen=True)
class Page:
	"""One page of a list. `state` resumes the fetch behind it; `last` says that nothing follows.

	size: bytes of the answer. doubt: why the list is not known to be complete, though this is its last page. A list
	that ends without a page that is the `last` is not known to be, either (see connectors.completeness).

	Of a stream of many lists, part: which of them the page is of; part_ends: it is the last of that one, which is known
	to be complete. failure: what kept one of them from being fetched; the page has no records then. reached: the end of
	a window of time that is whole with this page. times: when the parent that the page belongs to changed, None where
	the records say it themselves.
	"""

	records: list[dict[str, Any]]
	state: str
	last: bool
	size: int
	doubt: Doubt | None = None
	part: str = ""
	part_ends: bool = False
	failure: Exception | None = None
	reached: str = ""
	times: tuple[str, ...] | None = None
