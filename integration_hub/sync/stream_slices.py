"""Streams that are many lists: one for each parent record, for each value of a list, for each window of time.

The lists come one after the other and are one fetch to the reader of the pages: each page's state leads back into its
list, and only behind the last list is the fetch at its end. What one list leaves in doubt is in doubt for all; of a list
that is known to be complete, the page that ends it says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone, tzinfo
from functools import partial
from typing import Any, Protocol

from integration_hub.connectors.bounded_jmespath import PathError
from integration_hub.connectors.completeness_doubt import Doubt
from integration_hub.connectors.errors import (
	AuthenticationFailed,
	BreakerOpen,
	ConfigurationError,
	ConnectorError,
	MalformedAnswer,
	RetryLater,
)
from integration_hub.connectors.list_lanes import in_lanes
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.lazy_messages import _
from integration_hub.stores.ids import content_hash
from integration_hub.sync.record_ids import kept_id_reader
from integration_hub.sync.times import parse_time, utc_text

OUTER = "^"  # the key at which a record holds the record around it
Fetch = Callable[[ListRequest], Iterator[Page]]
_GONE = (404, 410)
_NEVER_ONE_LIST = (
	AuthenticationFailed,
	BreakerOpen,
	ConfigurationError,
	RetryLater,
)  # it would be so for each list
_MOST_FAILURES = 5  # lists that fail one after the other: then it is not they that fail, but the source
_WINDOW = re.compile(r"\s*(\d{1,6})\s*([smhdw])\s*", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Slice:
	"""One of the lists. at: leads to it when a fetch is resumed. values: of placeholders. outer: the parent record.

	part: tells it from the others in each run; "" for a list that proves nothing about what is gone. gone: the source says
	that there is none any more. failure, doubt: what kept the parents from being fetched, or from being known. reached: until when everything
	has come once the list has. times: when the parent changed, None where the records say that themselves.
	"""

	at: Any
	values: Mapping[str, Any] = field(default_factory=dict)
	outer: Mapping[str, Any] | None = None
	since: str = ""
	until: str = ""
	part: str = ""
	gone: bool = False
	failure: Exception | None = None
	doubt: Doubt | None = None
	reached: str = ""
	times: tuple[str, ...] | None = None


class Slicer(Protocol):
	"""A way to make many lists of one stream."""

	may_be_gone: bool
	"""May a list be gone (404, 410) meanwhile, which is no error?"""

	def slices(self, request: ListRequest, at: Any) -> Iterator[Slice]:
		"""Return the lists in an order that stays, from the one that `at` leads to on; from the first for None."""


@dataclass(frozen=True)
class Values:
	"""One list for each value that the settings name, as `{slice.value}`."""

	values: Sequence[str]
	may_be_gone = False

	def slices(self, request: ListRequest, at: Any) -> Iterator[Slice]:
		"""Return a list for each value, from the value `at` on."""
		first = self.values.index(at) if at in self.values else 0
		for value in self.values[first:]:
			yield Slice(value, {"slice": slice_of(value)}, part=content_hash(["value", value]))


def slice_of(text: str) -> dict[str, Any]:
	"""Return what a line of values says: its text at `value`, and the parts of a JSON object by their names."""
	try:
		found = json.loads(text) if text.startswith("{") else {}
	except ValueError:
		found = {}
	return {**(found if isinstance(found, dict) else {}), "value": text}


@dataclass(frozen=True)
class Windows:
	"""One list for each window of time: `{since}` and `{until}`. A stream's own bounds are kept.

	start: of the first, where nothing says since when. end: of the last, "" for now. seconds: of a window. zone: of times
	without one.
	"""

	seconds: int
	start: str
	end: str = ""
	zone: tzinfo = timezone.utc
	may_be_gone = False

	def slices(self, request: ListRequest, at: Any) -> Iterator[Slice]:
		"""Return a list for each window of time, from the time `at` on; raises ValueError for what is no time."""
		until = request.until or self.end
		end = parse_time(until, self.zone) if until else datetime.now(timezone.utc)
		first = utc_text(parse_time(self.start, self.zone))
		since = parse_time(at or max(filter(None, (request.since, first))))
		while since < end:
			until = min(since + timedelta(seconds=self.seconds), end)
			yield Slice(
				utc_text(since), since=utc_text(since), until=utc_text(until), reached=utc_text(until)
			)
			since = until


@dataclass(frozen=True)
class Parents:
	"""One list for each record of another stream: `{parent.id}` and whatever else the record has.

	fetch: fetches the parents' own list. request: asks for it; its id_path tells the parents apart. is_gone: does a record
	say that its parent was deleted? time: reads when a parent changed, where that says which ones have news.
	"""

	fetch: Fetch
	request: ListRequest
	is_gone: Callable[[Mapping[str, Any]], bool] = lambda record: False
	time: Callable[[Mapping[str, Any]], str] | None = None
	may_be_gone = True

	def slices(self, request: ListRequest, at: Any) -> Iterator[Slice]:
		"""Return a list for each parent.

		A resumed fetch asks for the page of parents that it stood in once more, and goes on behind those it had only
		if the same ones are in front: else a parent that moved there would be passed over.
		"""
		state, passed = (at["page"], at["passed"]) if at else ("", 0)
		for page in self.fetch(replace(self.request, state=state, passed=None if state else (0, 0))):
			if page.failure:
				yield Slice({"page": state, "passed": 0, "failed": str(page.failure)}, failure=page.failure)
			elif page.doubt:
				raise MalformedAnswer(_("The parent stream's list: {0}", str(page.doubt)))
			ids = [_id_of(record, self.request.id_path) for record in page.records]
			if passed and content_hash(ids[: passed + 1]) != at.get("ids"):
				passed = 0
			for number, record in enumerate(page.records):
				if number >= passed:
					place = {"page": state, "passed": number, "ids": content_hash(ids[: number + 1])}
					yield self._slice(place, record, ids[number])
			state, passed = page.state, 0

	def _slice(self, place: Any, record: Mapping[str, Any], id: Any) -> Slice:
		times = (self.time(record),) if self.time else None
		gone, part = self.is_gone(record), part_of_parent(id)
		return Slice(place, {"parent": record}, record, part=part, gone=gone, times=times)


def part_of_parent(id: Any) -> str:
	"""Return what tells the list of a parent from those of others, by the parent's id."""
	return content_hash(["parent", str(id) if isinstance(id, str | int) else id])


def _id_of(record: Mapping[str, Any], id_path: str) -> Any:
	"""Return what tells a parent from the others: its id, or all of it where that cannot be read."""
	try:
		return kept_id_reader(id_path)(record) if id_path else record
	except PathError:
		return record


def sliced(slicers: Sequence[Slicer], fetch: Fetch, request: ListRequest) -> Iterator[Page]:
	"""Fetch a stream's lists, nested in the order of the slicers: one after the other, or begun side by side.

	A list that fails is a page with its failure, and the others go on. Raises ConnectorError where that is not one
	list's: for a source that refuses everything, is paused, or fails again and again.
	"""
	if not slicers:
		yield from fetch(request)
		return
	first, *rest = slicers
	failures = 0
	inner = partial(sliced, rest, fetch)
	lanes = 1 if rest else request.lanes
	begin = fetch if lanes > 1 else inner
	for piece, asked, pages in in_lanes(_asked_of(first, request), begin, lanes):
		failed = False
		for page in _pages(first, piece, pages, asked, is_inner=bool(rest)):
			failed = failed or bool(page.failure)
			if page.failure and failures + 1 >= _MOST_FAILURES:
				raise page.failure
			yield page
		failures = failures + 1 if failed else 0
	yield Page([], "", True, 0)


def _asked_of(slicer: Slicer, request: ListRequest) -> Iterator[tuple[Slice, ListRequest]]:
	"""Return the lists that are left to fetch, with the request for each."""
	left = _left(request.state)
	for piece in slicer.slices(request, left["at"]):
		inner: dict[str, Any] = {"state": "", "passed": (0, 0)}
		if left["at"] is not None and piece.at == left["at"]:
			if left["in"] is None:
				continue  # it was fetched to its end
			inner = {"state": left["in"], "passed": left["passed"] and tuple(left["passed"])}
		yield piece, _asked(request, piece, **inner)


def _pages(
	slicer: Slicer, piece: Slice, pages: Iterator[Page], request: ListRequest, is_inner: bool
) -> Iterator[Page]:
	"""Fetch one list; each page's state leads back to where it stands in it. is_inner: is it made of lists itself?"""
	passed = request.passed
	try:
		if piece.failure:
			raise piece.failure
		for page in () if piece.gone or piece.doubt else pages:
			passed = passed and (passed[0] + 1, passed[1] + len(page.records))
			state = {"at": piece.at, "in": None if page.last else page.state, "passed": passed}
			yield _outward(page, piece, json.dumps(state), is_inner)
	except ConnectorError as error:
		end = json.dumps({"at": piece.at, "in": None, "passed": passed})
		if slicer.may_be_gone and error.status in _GONE and not piece.failure:
			yield Page([], end, False, 0, part=piece.part, part_ends=True, times=piece.times)
		elif isinstance(error, _NEVER_ONE_LIST):
			raise
		else:
			yield Page([], end, False, 0, Doubt(_("one of its lists failed"), ""), failure=error)
	if piece.gone or piece.doubt:
		end = json.dumps({"at": piece.at, "in": None, "passed": passed})
		part = {"part": piece.part, "part_ends": piece.gone, "times": piece.times}
		yield Page([], end, False, 0, piece.doubt, **part)


def _outward(page: Page, piece: Slice, state: str, is_inner: bool) -> Page:
	"""Return a page of a list as one of the lists around it."""
	is_whole = page.last and not page.doubt
	part, ends = (piece.part, is_whole) if not is_inner else (_nested(piece.part, page.part), page.part_ends)
	return replace(
		page,
		records=_within(page.records, piece.outer),
		state=state,
		last=False,
		part=part,
		part_ends=bool(part) and ends,
		reached=piece.reached if is_whole else "",
		times=piece.times,
	)


def _nested(outer: str, inner: str) -> str:
	return content_hash([outer, inner]) if outer and inner else ""


def _asked(request: ListRequest, piece: Slice, **resumed: Any) -> ListRequest:
	"""Return the request of one list."""
	bounds = {name: value for name in ("since", "until") if (value := getattr(piece, name))}
	begun = {"begun": True, "lanes": 1} if request.lanes > 1 else {}
	return replace(request, values={**request.values, **piece.values}, **bounds, **begun, **resumed)


def _left(state: str) -> dict[str, Any]:
	"""Return where a fetch left off. Raises MalformedAnswer for a state that is none."""
	try:
		left = json.loads(state) if state else {}
		return {"at": left.get("at"), "in": left.get("in"), "passed": left.get("passed")}
	except (ValueError, AttributeError):
		raise MalformedAnswer(_("The place to resume at cannot be read.")) from None


def _within(records: Iterable[dict[str, Any]], outer: Mapping[str, Any] | None) -> list[dict[str, Any]]:
	"""Return records with the one around them in reach, and beside it the slice that they are of."""
	if outer is None:
		return list(records)
	return [{**record, OUTER: {**outer, **record.get(OUTER, {})}} for record in records]


def with_slice(fetch: Fetch, request: ListRequest) -> Iterator[Page]:
	"""Fetch one list, whose records have what it is of in reach: `^.slice.value`, `^.slice.since`, `^.slice.until`."""
	bounds = {"since": request.since, "until": request.until}
	within = {OUTER: {"slice": {**request.values.get("slice", {}), **bounds}}}
	pages = fetch(request)  # which may begin at once
	return (replace(page, records=[{**record, **within} for record in page.records]) for page in pages)


def window_seconds(text: str) -> int:
	"""Return how long a window is: `30m`, `12h`, `1d`, `4w`. Raises ValueError."""
	found = _WINDOW.fullmatch(text)
	if not found or not int(found[1]):
		raise ValueError(_("{0!r} is not a length of time like 30m, 12h, 1d or 4w", text))
	return int(found[1]) * _UNITS[found[2]]
