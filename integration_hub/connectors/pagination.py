"""How a list that comes in pages is walked.

A paginator reads its state from each answer (`update_state`) and writes it into the next request
(`update_request`); it knows nothing about HTTP clients or records.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any
from urllib.parse import urljoin

import requests
from requests.utils import parse_header_links

from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.paths import PathError, search
from integration_hub.connectors.urls import without_parameter

Params = dict[str, Any]


class Paginator:
	"""No pagination: one request holds everything. Base of the others.

	`state` is what resumes the walk behind the last page read: a string, "" at the beginning.
	"""

	kind = "None"
	independent = False  # can a page be asked for before the one in front of it is here?

	def __init__(self, state: str = "") -> None:
		self.state = state
		self.done = False

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		"""Read from an answer where the next page is; sets `done` behind the last one."""
		self.done = True

	def update_request(self, path: str, params: Params) -> tuple[str, Params]:
		"""Return path and query parameters of the next request."""
		return path, params

	def ahead(self, pages: int) -> Paginator:
		"""Return a paginator that stands `pages` further on, if all pages are full. For independent ones."""
		raise TypeError(f"{self.kind} pages depend on each other")


class PageNumber(Paginator):
	"""`?page=3&page_size=100`; ends where `more_path` says so, else with an empty page.

	A page that is merely short ends nothing: a server that caps the page size answers only short pages.
	"""

	kind = "Page Number"
	independent = True

	def __init__(
		self,
		state: str = "",
		*,
		page_param: str = "page",
		more_path: str = "",
		size_param: str,
		size: int,
	):
		super().__init__(state or "1")
		self.page_param, self.more_path = page_param, more_path
		self.size_param, self.size = size_param, size

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		self.state = str(int(self.state) + self.step(records))
		self.done = not records or bool(self.more_path and not found_at(answer, self.more_path, "more_path"))

	def update_request(self, path: str, params: Params) -> tuple[str, Params]:
		return path, {**params, self.page_param: self.state, **_sized(self.size_param, self.size)}

	def ahead(self, pages: int) -> Paginator:
		further = copy(self)
		further.state = str(int(self.state) + pages * self.full_step)
		return further

	@property
	def full_step(self) -> int:
		"""How far the next page is from a full one."""
		return 1

	def step(self, records: list) -> int:
		"""How far the next page is from this one."""
		return 1


class Offset(PageNumber):
	"""`?offset=200&limit=100`; moves on by what arrived, so a server that caps the limit loses nothing."""

	kind = "Offset"

	def __init__(self, state: str = "", **options: Any):
		super().__init__(state or "0", **options)

	@property
	def full_step(self) -> int:
		return self.size

	def step(self, records: list) -> int:
		return len(records)


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
	):
		super().__init__(state)
		self.cursor_param, self.cursor_path, self.more_path = cursor_param, cursor_path, more_path
		self.size_param, self.size = size_param, size

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		cursor = found_at(answer, self.cursor_path, "cursor_path")
		more = found_at(answer, self.more_path, "more_path") if self.more_path else bool(cursor)
		if cursor is not None and not isinstance(cursor, str | int):
			raise MalformedAnswer(f"The cursor at {self.cursor_path!r} is neither text nor a number.")
		if not self.more_path and not records and str(cursor) == self.state:
			more = False  # a feed that stands at its end
		if more and (not cursor or str(cursor) == self.state):
			raise MalformedAnswer(
				f"The source says there is more, but {self.cursor_path!r} does not move on."
			)
		self.state = str(cursor) if cursor else self.state
		self.done = not more

	def update_request(self, path: str, params: Params) -> tuple[str, Params]:
		cursor = {self.cursor_param: self.state} if self.state else {}
		return path, {**params, **_sized(self.size_param, self.size), **cursor}


class NextLink(Paginator):
	"""The URL of the next page stands in the body."""

	kind = "Next Link"
	secret_param = ""  # a query parameter that holds a credential

	def __init__(self, state: str = "", *, next_path: str = "next", size_param: str, size: int):
		super().__init__(state)
		self.next_path, self.size_param, self.size = next_path, size_param, size

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		self._follow(found_at(answer, self.next_path, "cursor_path"), response)

	def update_request(self, path: str, params: Params) -> tuple[str, Params]:
		return (self.state, {}) if self.state else (path, {**params, **_sized(self.size_param, self.size)})

	def _follow(self, link: object, response: requests.Response) -> None:
		if link is not None and not isinstance(link, str):
			raise MalformedAnswer(f"What stands at {self.next_path!r} is no link.")
		try:
			target = self._target(link, response) if link else ""
		except ValueError:
			raise MalformedAnswer(f"What stands at {self.next_path!r} is no link.") from None
		if target and target == self.state:
			raise MalformedAnswer("The next link points to the page it stands on.")
		self.state, self.done = target, not target

	def _target(self, link: str, response: requests.Response) -> str:
		"""Return a link as a URL: a relative one is relative to the page it stands on (RFC 3986, 5)."""
		target = urljoin(response.url, link.strip(" "))
		# Some servers echo the whole query; the key is added again, and kept nowhere.
		return without_parameter(target, self.secret_param) if self.secret_param else target


class LinkHeader(NextLink):
	"""The URL of the next page stands in the Link header, `rel="next"` (RFC 8288)."""

	kind = "Link Header"

	def update_state(self, answer: Any, records: list, response: requests.Response) -> None:
		links = parse_header_links(response.headers.get("Link", ""))
		self._follow(next((link["url"] for link in links if link.get("rel") == "next"), None), response)


def found_at(answer: Any, path: str, field: str) -> Any:
	"""Return what stands at a path of an answer; raises MalformedAnswer, which names the field of the settings."""
	try:
		return search(path, answer)
	except PathError as error:
		raise MalformedAnswer(f"{field} {path[:80]!r}: {error}.") from None


def _sized(param: str, size: int) -> Params:
	"""The page size, for a source that lets one choose."""
	return {param: size} if param else {}


PAGINATIONS = ("None", "Page Number", "Offset", "Cursor", "Next Link", "Link Header")


def paginator(kind: str, options: Mapping[str, Any], state: str = "") -> Paginator:
	"""Make a paginator from settings; raises ValueError for an unknown `kind`.

	options: page_size, page_size_param, page_param, cursor_path, more_path.
	"""
	size = {"size": int(options["page_size"]), "size_param": options["page_size_param"]}
	page_param = options["page_param"]
	if kind == "None":
		return Paginator(state)
	if kind == "Page Number":
		return PageNumber(state, page_param=page_param or "page", more_path=options["more_path"], **size)
	if kind == "Offset":
		return Offset(state, page_param=page_param or "offset", more_path=options["more_path"], **size)
	if kind == "Cursor":
		return Cursor(
			state,
			cursor_param=page_param or "cursor",
			cursor_path=options["cursor_path"] or "next_cursor",
			more_path=options["more_path"],
			**size,
		)
	if kind == "Next Link":
		return NextLink(state, next_path=options["cursor_path"] or "next", **size)
	if kind == "Link Header":
		return LinkHeader(state, **size)
	raise ValueError(f"pagination: {kind!r} is not one of {', '.join(PAGINATIONS)}")
