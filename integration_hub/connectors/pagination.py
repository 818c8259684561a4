"""Pagination: one class for each way in which a list comes in pages.

A paginator reads its state from each answer (`update_state`) and writes it into the next request
(`update_request`); it knows nothing about HTTP clients or records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from functools import reduce
from typing import Any
from urllib.parse import urljoin

import requests

from integration_hub.connectors.bounded_jmespath import PathError, search
from integration_hub.connectors.completeness_signs import points, says_yes
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.link_header import links, next_link
from integration_hub.connectors.records_path import is_there, spine
from integration_hub.connectors.urls import without_parameter

Params = dict[str, Any]
HEADER = "header:"  # before a header's name, where a path of the answer could stand


class Paginator:
	"""No pagination: one request holds everything. Base of the others.

	`state` is what resumes the fetch behind the last page read: a string, "" at the beginning. more_path: where the
	source says whether more waits, "" if it does not. said: did the source itself say where the fetch ends, at the
	place that the settings name, or by an empty page?
	"""

	kind = "None"
	independent = False  # can a page be asked for before the one in front of it is here?

	def __init__(self, state: str = "", more_path: str = "") -> None:
		self.state = state
		self.more_path = more_path
		self.done = False
		self.said = False
		self.met = bool(state)  # has an answer had anything at the place that the fetch is led by?
		self.came: int | None = None if state else 0  # records so far, None if that is not known

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		"""Read from an answer where the next page is; sets `done` behind the last one."""
		self.done = True

	def sent(self) -> dict[str, tuple[str, Any]]:
		"""Return what the next request says of its page: placeholder → (query parameter, value).

		A parameter of "" is sent nowhere but where its placeholder stands; a value of None is not sent.
		"""
		return {}

	def update_request(self, path: str, params: Params) -> tuple[str, Params]:
		"""Return path and query parameters of the next request, whose query has all of `sent` already."""
		return path, params

	def ahead(self, pages: int) -> Paginator:
		"""Return a paginator that stands `pages` further on, if all pages are full. For independent ones."""
		raise TypeError(f"{self.kind} pages depend on each other")

	def _look(self, answer: Any, path: str, field: str, response: requests.Response) -> Any:
		"""Return what leads the fetch on, and note whether there was anything; raises MalformedAnswer."""
		found = found_in(answer, response, path, field)
		self.met = self.met or found is not None or is_there(path, answer)
		return found


class PageNumber(Paginator):
	"""`?page=3&page_size=100`; ends where `more_path`, a total or a number of pages says so, else with an empty page.

	total_path, pages_path: where the source counts its records, or its pages. short_ends: a page that is shorter than
	`size` is the last one; else a page that is merely short ends nothing: a server that caps the page size answers only short pages. Nor does an
	empty one where `more_path` says that more waits: a server may filter what it has counted off.
	first_unsent: the first page is asked for without its number.
	"""

	kind = "Page Number"
	placeholder = "page"
	independent = True

	def __init__(
		self,
		state: str = "",
		*,
		page_param: str = "page",
		more_path: str = "",
		total_path: str = "",
		pages_path: str = "",
		short_ends: bool = False,
		first: int = 1,
		first_unsent: bool = False,
		size_param: str,
		size: int,
	) -> None:
		super().__init__(state, more_path)
		self.first, self.first_unsent = first, first_unsent
		self.state = state or str(first)
		self.page_param = page_param
		self.total_path, self.pages_path, self.short_ends = total_path, pages_path, short_ends
		self.size_param, self.size = size_param, size

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		"""Go on to the next page number; the end is where `more_path`, a count, or an empty or short page says so."""
		self.came = None if self.came is None else self.came + len(records)
		self.state = str(int(self.state) + self.step(records))
		if self.more_path:
			self.done = not says_yes(self._look(answer, self.more_path, "more_path", response))
			self.said = self.done and self.met
		else:
			self.done = self.said = not records or self._counts_all(answer, response)
			self.done = self.done or (self.short_ends and len(records) < self.size)

	def _counts_all(self, answer: Any, response: requests.Response) -> bool:
		"""Tell whether what the source counts has come. Raises MalformedAnswer for what is no number."""
		total = self._count(answer, response, self.total_path, "total_path")
		pages = self._count(answer, response, self.pages_path, "pages_path")
		if total is not None and self.came is not None:
			return self.came >= total
		return pages is not None and self._pages >= pages

	def _count(self, answer: Any, response: requests.Response, path: str, field: str) -> int | None:
		found = self._look(answer, path, field, response) if path else None
		if found is None:
			return None
		try:
			if isinstance(found, bool):
				raise ValueError
			return int(found)
		except (ValueError, TypeError, OverflowError):
			raise MalformedAnswer(f"{field}: what stands at {path!r} is no number.") from None

	@property
	def _pages(self) -> int:
		"""Return how many pages came, from the first on."""
		return int(self.state) - self.first

	def sent(self) -> dict[str, tuple[str, Any]]:
		"""Return the page number and the page size."""
		number = (self.page_param, None if self._is_unsaid else int(self.state))
		return {self.placeholder: number, "page_size": (self.size_param, self.size)}

	@property
	def _is_unsaid(self) -> bool:
		"""Tell whether this is the first page, which is asked for without its number."""
		return self.first_unsent and int(self.state) == self.first

	def ahead(self, pages: int) -> Paginator:
		"""Return a copy that stands `pages` full pages further on."""
		further = copy(self)
		further.state = str(int(self.state) + pages * self.full_step)
		return further

	@property
	def full_step(self) -> int:
		"""Return how far the next page is from a full one, as the parameter counts."""
		return 1

	def step(self, records: list) -> int:
		"""Return how far the next page is from this one, as the parameter counts."""
		return 1


class Offset(PageNumber):
	"""`?offset=200&limit=100`; moves on by what arrived, so a server that caps the limit loses nothing.

	Behind an empty page it moves on by the page size, or by the largest page there was, for the same reason.
	"""

	kind = "Offset"
	placeholder = "offset"

	def __init__(self, state: str = "", **options: Any) -> None:
		super().__init__(state, first=0, **options)
		self._largest = 0
		self._walked = 0

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		"""Go on by as many records as arrived."""
		self._walked += 1
		super().update_state(answer, records, response)

	@property
	def _pages(self) -> int:
		return self._walked

	@property
	def full_step(self) -> int:
		"""Return the page size: the offset counts records."""
		return self.size

	def step(self, records: list) -> int:
		"""Return how many records arrived; of an empty page, the size or the largest page so far."""
		self._largest = max(self._largest, len(records))
		return len(records) or min(self.size, self._largest or self.size)


class Cursor(Paginator):
	"""An opaque cursor in the body, sent back as a parameter; `more_path` (if any) says whether more waits."""

	kind = "Cursor"

	def __init__(
		self,
		state: str = "",
		*,
		cursor_param: str = "cursor",
		cursor_path: str = "next_cursor",
		more_path: str = "",
		size_param: str,
		size: int,
	) -> None:
		super().__init__(state, more_path)
		self.cursor_param, self.cursor_path = cursor_param, cursor_path
		self.size_param, self.size = size_param, size

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		"""Take the cursor of the next page from the answer; raises MalformedAnswer if more follows and it does not move on."""
		cursor = (
			found_in(answer, response, self.cursor_path, "cursor_path")
			if self.more_path
			else self._look(answer, self.cursor_path, "cursor_path", response)
		)
		if not isinstance(cursor, dict | list) and not points(cursor):
			cursor = None
		more = (
			says_yes(self._look(answer, self.more_path, "more_path", response))
			if self.more_path
			else bool(cursor)
		)
		cursor = self._as_text(cursor)
		if not self.more_path and not records and cursor == self.state:
			more = False  # a feed that stands at its end
		if more and (not cursor or cursor == self.state):
			raise MalformedAnswer(
				f"The source says there is more, but {self.cursor_path!r} does not move on."
			)
		self.state = cursor or self.state
		self.done = not more
		self.said = self.done and self.met

	def _as_text(self, cursor: Any) -> str | None:
		"""Return a cursor as it is sent: a number as JSON writes it, whole ones without a fraction."""
		if cursor is None or isinstance(cursor, str):
			return cursor
		if isinstance(cursor, bool) or not _is_number(cursor):
			raise MalformedAnswer(f"The cursor at {self.cursor_path!r} is neither text nor a number.")
		return str(int(cursor) if isinstance(cursor, float) and cursor.is_integer() else cursor)

	def sent(self) -> dict[str, tuple[str, Any]]:
		"""Return the cursor, nothing on the first page, and the page size."""
		cursor = (self.cursor_param, self.state or None)
		return {"cursor": cursor, "page_size": (self.size_param, self.size)}


def _is_number(value: Any) -> bool:
	return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


class NextLink(Paginator):
	"""The URL of the next page stands in the body; `more_path` (if any) says whether more waits."""

	kind = "Next Link"
	secret_params: tuple[str, ...] = ()  # query parameters that hold credentials

	def __init__(
		self, state: str = "", *, next_path: str = "next", more_path: str = "", size_param: str, size: int
	) -> None:
		super().__init__(state, more_path)
		self.next_path, self.size_param, self.size = next_path, size_param, size

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		"""Take the link to the next page from the answer; raises MalformedAnswer where more is said to follow without one."""
		if not self.more_path:
			self._follow(self._look(answer, self.next_path, "cursor_path", response), response)
		elif says_yes(self._look(answer, self.more_path, "more_path", response)):
			self._follow(found_in(answer, response, self.next_path, "cursor_path"), response)
			if self.done:
				raise MalformedAnswer(
					f"The source says there is more, but there is no link at {self.next_path!r}."
				)
		else:
			self._follow(None, response)

	def sent(self) -> dict[str, tuple[str, Any]]:
		"""Return the page size; a link says the rest itself."""
		return {"page_size": (self.size_param, self.size)}

	def update_request(self, path: str, params: Params) -> tuple[str, Params]:
		"""Return the link in place of path and parameters, which it holds already."""
		return (self.state, {}) if self.state else (path, params)

	def _follow(self, link: object, response: requests.Response) -> None:
		if link is False or not points(link):
			link = None
		elif not isinstance(link, str):
			raise MalformedAnswer(f"What stands at {self.next_path!r} is no link.")
		try:
			target = self._target(link, response) if link else ""
		except ValueError:
			raise MalformedAnswer(f"What stands at {self.next_path!r} is no link.") from None
		if target and target == self.state:
			raise MalformedAnswer("The next link points to the page it stands on.")
		self.state, self.done = target, not target
		self.said = self.done and self.met

	def _target(self, link: str, response: requests.Response) -> str:
		"""Return a link as a URL: a relative one is relative to the page it stands on (RFC 3986, 5)."""
		target = urljoin(response.url, link.strip(" "))
		# Some servers echo the whole query; the key is added again, and kept nowhere.
		return reduce(without_parameter, self.secret_params, target)


class Relay(Cursor):
	"""A connection as Relay defines it for GraphQL: `pageInfo` beside the records, with `endCursor` and `hasNextPage`."""

	kind = "Relay"

	def __init__(
		self, state: str = "", *, cursor_path: str = "", records_path: str = "", **options: Any
	) -> None:
		info = cursor_path or ".".join((*spine(records_path)[:-1], "pageInfo"))
		paths = {"cursor_path": f"{info}.endCursor", "more_path": f"{info}.hasNextPage"}
		super().__init__(state, **{**options, **paths})


class DeltaLink(NextLink):
	"""Links to the next page, and behind the last one a link to what changes from then on (OData, Microsoft Graph).

	That one is the state at the end: where a change feed is resumed.
	"""

	kind = "Delta Link"

	def __init__(self, state: str = "", *, delta_path: str, **options: Any) -> None:
		super().__init__(state, **options)
		self.delta_path = delta_path

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		"""Take the next link or, on the last page, the delta link; raises MalformedAnswer where there is neither."""
		before = self.state
		super().update_state(answer, records, response)
		if not self.done:
			return
		delta = found_in(answer, response, self.delta_path, "delta_path")
		if not isinstance(delta, str) or not points(delta):
			raise MalformedAnswer(f"There is neither a next link nor one at {self.delta_path!r}.")
		self.state, self.said = self._target(delta, response) or before, True


class LinkHeader(NextLink):
	"""The URL of the next page stands in a header: `Link`, with `rel="next"` (RFC 8288), or one that holds nothing else.

	header: the header's name.
	"""

	kind = "Link Header"

	def __init__(self, state: str = "", *, header: str = "Link", size_param: str, size: int) -> None:
		super().__init__(state, next_path=header, size_param=size_param, size=size)

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		"""Take the next link from a header (RFC 8288); raises MalformedAnswer if the header cannot be read."""
		value = response.headers.get(self.next_path, "").strip()
		try:
			link, told = self._read(value, response.url)
		except ValueError as error:
			raise MalformedAnswer(str(error)) from None
		self.met = self.met or told
		self._follow(link, response)

	def _read(self, value: str, url: str) -> tuple[str | None, bool]:
		"""Return the link in a header, and whether the header tells where in a list its page is."""
		if self.next_path.lower() != "link" and not value.startswith("<"):
			return value, bool(value)
		relations = {relation for link in links(value) for relation in link.relations}
		return next_link(value, url), bool(relations & {"first", "last", "next", "prev", "previous"})


def found_in(answer: Any, response: requests.Response, path: str, field: str) -> Any:
	"""Return what stands at a path of an answer, or in the header that `header:NAME` names; raises MalformedAnswer."""
	if path.startswith(HEADER):
		return response.headers.get(path[len(HEADER) :].strip())
	return found_at(answer, path, field)


def found_at(answer: Any, path: str, field: str) -> Any:
	"""Return what stands at a path of an answer; raises MalformedAnswer, which names the field of the settings."""
	try:
		return search(path, answer)
	except PathError as error:
		raise MalformedAnswer(f"{field} {path[:80]!r}: {error}.") from None


PAGINATIONS = ("None", "Page Number", "Offset", "Cursor", "Relay", "Next Link", "Link Header", "Delta Link")
FEEDS = ("Cursor", "Relay", "Delta Link")  # whose state at the end resumes a change feed


def make_paginator(kind: str, options: Mapping[str, Any], state: str = "") -> Paginator:
	"""Make a paginator from settings; raises ValueError for an unknown `kind`.

	options: page_size, page_size_param, page_param, cursor_path, more_path; and, if they are there, total_path,
	pages_path, short_page_ends, first_page, first_page_unsent, delta_path, records_path.
	"""
	size = {"size": int(options["page_size"]), "size_param": options["page_size_param"]}
	page_param = options["page_param"]
	if kind == "None":
		return Paginator(state)
	if kind == "Page Number":
		first = options.get("first_page", 1)
		counted = _ends(options)
		return PageNumber(state, page_param=page_param or "page", first=first, **counted, **size)
	if kind == "Offset":
		return Offset(state, page_param=page_param or "offset", **_ends(options), **size)
	if kind == "Relay":
		paths = {name: options.get(name, "") for name in ("cursor_path", "records_path")}
		return Relay(state, cursor_param=page_param or "after", **paths, **size)
	if kind == "Cursor":
		return Cursor(
			state,
			cursor_param=page_param or "cursor",
			cursor_path=options["cursor_path"] or "next_cursor",
			more_path=options["more_path"],
			**size,
		)
	if kind == "Next Link":
		return NextLink(
			state, next_path=options["cursor_path"] or "next", more_path=options["more_path"], **size
		)
	if kind == "Delta Link":
		next_path = options["cursor_path"] or '"@odata.nextLink"'
		delta_path = options.get("delta_path") or '"@odata.deltaLink"'
		return DeltaLink(state, next_path=next_path, delta_path=delta_path, **size)
	if kind == "Link Header":
		return LinkHeader(state, header=options["cursor_path"] or "Link", **size)
	raise ValueError(f"pagination: {kind!r} is not one of {', '.join(PAGINATIONS)}")


def _ends(options: Mapping[str, Any]) -> dict[str, Any]:
	"""Return what says where a list that is counted off ends."""
	return {
		"more_path": options["more_path"],
		"total_path": options.get("total_path", ""),
		"pages_path": options.get("pages_path", ""),
		"short_ends": options.get("short_page_ends", False),
		"first_unsent": options.get("first_page_unsent", False),
	}
