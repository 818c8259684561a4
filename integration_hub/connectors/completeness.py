"""The proof of a fetch: the list is complete, or not known to be complete, and by which sign.

The one place that decides it. Connectors gather the evidence from each answer and hand the doubt over with the last page;
sync removes documents, moves a watermark to the end, and says Completed without a note only where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from integration_hub.connectors.completeness_doubt import Doubt
from integration_hub.connectors.completeness_signs import Signs, read_signs
from integration_hub.connectors.pages import ListRequest, Page

_SIZE = re.compile(r"(?:limit|size|count|top|rows|max|first|take|perpage|pagesize|maxresults|length|num|n)$")
_ABOUT_PAGES = re.compile(r"(?:page|pages|paging|pagination)\.total$", re.IGNORECASE)  # or about records


STOPPED = Doubt(
	"the connector stopped without a page that says it is the last",
	"the connector's pages: Page(…, last=True)",
)


class Proof:
	"""The proof that the pages of one fetch add up to; it is given each page in order."""

	def __init__(self) -> None:
		self._ended = False
		self._doubt: Doubt | None = None

	def see(self, page: Page) -> None:
		"""Take the next page into account: it may be the last one, or bring a doubt."""
		self._ended = page.last
		self._doubt = self._doubt or page.doubt

	@property
	def doubt(self) -> Doubt | None:
		"""Return why the list is not known to be complete, None if it is."""
		return self._doubt or (None if self._ended else STOPPED)


class Evidence:
	"""The evidence of a list's end in the answers of one fetch.

	kind: of pagination. said: did the place that the settings name itself say that nothing follows?
	"""

	def __init__(self, request: ListRequest) -> None:
		self._request = request
		self._kind = request.pagination.get("kind", "None")
		passed = request.passed if request.state else (0, 0)
		self._pages, self._records = passed or (0, 0)
		self._is_counted = passed is not None  # else what came before the fetch was resumed is not known
		self._sent = 0
		self._last = Signs()
		self._total: tuple[int, str] | None = None
		self._fault = False

	def add(self, answer: Any, headers: Mapping[str, str], url: str, sent: int) -> None:
		"""Take an answer into account, with the number of records it held before any filter."""
		self._last = read_signs(answer, headers, url, self._request.records_path)
		self._sent = sent
		self._fault = self._fault or self._last.fault
		self._pages += 1
		self._records += sent
		self._keep_total(self._last)

	def take_back(self) -> None:
		"""Take the last answer back: it repeated the one before it, and is no further page."""
		self._pages -= 1
		self._records -= self._sent

	@property
	def passed(self) -> tuple[int, int] | None:
		"""Return how many pages and records came so far, None if that is not known."""
		return (self._pages, self._records) if self._is_counted else None

	@property
	def says_all(self) -> bool:
		"""Tell whether the last answer says by itself that nothing follows, or how much there is, which has come."""
		if self.more():
			return False
		if self._is_counted and self._total:
			return True
		return bool(self._last.ends) or bool(self._is_counted and self._last.pages)

	def more(self, said: bool = False) -> Doubt | None:
		"""Return the doubt that the last answer's signs of more give rise to, None if there are none.

		said: the place that the settings name for it said that there is no more: then a link does not count.
		"""
		last = self._last
		if last.more:
			return Doubt(f"the response says that there is more ({last.more})", self._flag_setting(last.more))
		if last.next and not said:
			return Doubt(f"the response has a next page ({last.next})", _next_setting(last))
		if not self._is_counted:
			return None
		if self._total and self._total[0] > self._records:
			total, place = self._total
			sign = f"the source counts {total} records ({place}), and {self._records} arrived"
			return Doubt(sign, self._paging_setting)
		if last.pages and last.pages > self._pages:
			sign = f"the source counts {last.pages} pages ({last.pages_at}), and {self._pages} arrived"
			return Doubt(sign, self._paging_setting)
		return None

	def at_end(self, *, said: bool, by_more_path: bool = False, never_there: str = "") -> Doubt | None:
		"""Return why the end of the fetch does not prove the list complete, None if it does.

		said: the source itself said so where the settings look for it, or sent an empty page. by_more_path: it said
		so at Has More Path. never_there: Has More Path, if no answer had anything there.
		"""
		if self._fault:
			return Doubt("the source says, beside its records, that something failed")
		if doubt := self.more(by_more_path):
			return _mistyped(never_there, doubt) if never_there else doubt
		if never_there and not self.says_all:
			return _mistyped(never_there)
		if said or self.says_all:
			return None
		if self._last.weak:
			return Doubt(f"the response may have a next page ({self._last.weak})", self._paging_setting)
		if self._sent and self._sent in self._asked:
			sign = f"{self._sent} records arrived, exactly as many as were asked for, and nothing says that they are all"
			return Doubt(sign, self._paging_setting)
		return None

	def repeated(self) -> Doubt | None:
		"""Return why a fetch that ends since a page came twice does not prove the list complete, None if it does."""
		if self.says_all and not self._fault:
			return None
		return Doubt("the same page arrived twice", self._paging_setting)

	def _keep_total(self, signs: Signs) -> None:
		total, place = signs.total, signs.total_at
		if total is not None and total < self._sent and _ABOUT_PAGES.search(place):
			signs.pages, signs.pages_at = signs.pages or total, signs.pages_at or place
			return
		if total is None and signs.count is not None:
			if signs.count == self._sent:  # the page's own, maybe
				return
			total, place = signs.count, signs.count_at
		# Beyond the end, some count nothing; what they said of the pages before stands.
		if total is not None and (self._sent or self._total is None or total > self._total[0]):
			self._total = (total, place)

	@property
	def _size(self) -> int:
		return int(self._request.pagination.get("page_size") or 0)

	@property
	def _asked(self) -> set[int]:
		"""Return the numbers of records that a page may have been asked for."""
		query = [*parse_qsl(urlsplit(self._request.endpoint).query), *_pairs(self._request.params)]
		sizes = (value for name, value in query if _SIZE.search(re.sub(r"[^a-z]", "", name.lower())))
		return {self._size, *(int(value) for value in sizes if value.isascii() and value.isdigit())}

	def _flag_setting(self, place: str) -> str:
		if self._kind == "None":
			return "Pagination (pagination)"
		return f"Has More Path (more_path), which can be {place!r}, and Pagination (pagination)"

	@property
	def _paging_setting(self) -> str:
		if self._kind == "None":
			return "Pagination (pagination)"
		names = {"Page Number": "page_param", "Offset": "page_param", "Link Header": "page_size"}
		return f"Pagination (pagination) and its parameters ({names.get(self._kind, 'cursor_path')}, page_size_param)"


def _mistyped(more_path: str, seen: Doubt | None = None) -> Doubt:
	"""Return the doubt about a Has More Path that nothing was found at: that ended the fetch, whatever else was seen."""
	sign, setting = f"no response has a value at Has More Path {more_path!r}", "Has More Path (more_path)"
	if seen is None:
		return Doubt(sign, setting)
	return Doubt(f"{seen.sign}; {sign}", seen.setting if setting in seen.setting else setting)


def _next_setting(signs: Signs) -> str:
	if signs.header:
		path = (
			"" if signs.next == "Link" else f" with {signs.next!r} as Cursor or Next Link Path (cursor_path)"
		)
		return f"Pagination (pagination): Link Header{path}"
	kind = "Next Link" if signs.link else "Cursor"
	return f"Pagination (pagination): {kind}, with {signs.next!r} as Cursor or Next Link Path (cursor_path)"


def _pairs(params: Any) -> list[tuple[str, str]]:
	pairs = params.items() if isinstance(params, Mapping) else params
	return [(str(name), str(value)) for name, value in pairs]
