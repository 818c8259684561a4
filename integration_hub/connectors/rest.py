"""Lists behind a REST API, page by page, from settings alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

import requests

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.bodies import Body, first_part, opened
from integration_hub.connectors.completeness import Doubt, Evidence
from integration_hub.connectors.errors import ConnectorError, MalformedAnswer
from integration_hub.connectors.extra_credentials import secret_params
from integration_hub.connectors.json_body import find_records
from integration_hub.connectors.known_secrets import KnownSecrets, is_secret
from integration_hub.connectors.oauth2 import OAuth2Connector
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.connectors.pagination import NextLink, PageNumber, Paginator, make_paginator
from integration_hub.connectors.parallel_fetch import fetch_in_parallel
from integration_hub.connectors.prefetch import Prefetcher
from integration_hub.connectors.request_template import Call, RequestTemplate
from integration_hub.connectors.response_format import ResponseFormat

__all__ = ["OAuth2RestConnector", "RestConnector", "find_records"]

_NOT_THERE = (404, 410)
_BEHIND_END = (
	400,
	404,
	416,
	422,
)  # how a page is refused that there is not (Django REST framework, WordPress)
MAX_PAGES = 100_000
MAX_EMPTY = (
	1000  # pages without a record, one after the other: some sources filter what they have counted off
)


MAX_SAME = 50  # of those that say the same each, letter for letter: nothing in them leads on


class RestConnector(BaseConnector):
	"""Any REST API, by settings alone."""

	# May another thread send a request while the caller writes a page? A subclass says so for itself: what it
	# overrides may need the caller's database.
	fetches_ahead = True

	def pages(self, request: ListRequest) -> Iterator[Page]:
		"""Fetch a list; raises MalformedAnswer where there is no list of objects at its records path."""
		request = _back_to_body(request)
		template = RequestTemplate.read(request)
		call = partial(template.call, values=_values(request), params=_bounds(request, template))
		if not (chosen := ResponseFormat.read(request.response)).is_plain:
			call = _into_file(call, chosen)
		options = {**request.pagination, "records_path": request.records_path}
		paginator = make_paginator(request.pagination["kind"], options, request.state)
		if request.state and request.passed:
			paginator.came = request.passed[1]
		if (
			isinstance(paginator, PageNumber)
			and not request.state
			and request.params.get(paginator.page_param) == "0"
		):
			paginator.state, paginator.first = "0", 0  # some number their pages from 0
		if isinstance(paginator, NextLink):
			paginator.secret_params = secret_params(self.config)
		if request.lanes > 1 and paginator.independent:
			responses = fetch_in_parallel(self, call, paginator, request.lanes)
			return _read(self, responses, paginator, request)
		fetcher = Prefetcher(self, call, paginator)
		# A cursor or a link is the source's: to follow it may tell it that what came before is safe.
		ahead = request.ahead and paginator.independent and vars(type(self)).get("fetches_ahead", False)
		begin = fetcher.begin if ahead else None
		if request.begun and vars(type(self)).get("fetches_ahead", False):
			fetcher.begin()
		return _read(self, _one_by_one(fetcher, paginator), paginator, request, begin)

	def first_answer(self, request: ListRequest) -> tuple[Any, Mapping[str, str], str]:
		"""Return the first answer parsed, its headers and its URL; raises ConnectorError."""
		options = {**request.pagination, "records_path": request.records_path}
		paginator = make_paginator(request.pagination["kind"], options, request.state)
		chosen, build = ResponseFormat.read(request.response), RequestTemplate.read(request).call
		build = build if chosen.is_plain else _into_file(build, chosen)
		call = build(paginator, _values(request), {})
		response = self.request(call.method, call.path, raw=True, **call.options)
		with _explained(self, response):
			answer = first_part(opened(self, response, request), request.records_path)
		return answer, response.headers, response.url


class OAuth2RestConnector(OAuth2Connector, RestConnector):
	"""Any REST API behind OAuth2, by settings alone."""

	fetches_ahead = True


def _values(request: ListRequest) -> dict[str, Any]:
	"""Return what the placeholders of a list stand for, beside the paginator's."""
	now = datetime.now(timezone.utc)
	return {**request.values, "since": request.bound("since"), "until": request.bound("until"), "now": now}


def _bounds(request: ListRequest, template: RequestTemplate) -> dict[str, str]:
	"""Return the query parameters that say which changes are wanted, where no placeholder says it."""
	params = {"since": request.since_param, "until": request.until_param}
	return {
		param: bound.text
		for name, param in params.items()
		if param and (bound := request.bound(name)) and not template.uses(name)
	}


_AGAIN = (
	"again:"  # begins the state of a page within a body: a fetch that is resumed there fetches the body again
)


def _within_body(paginator: Paginator, evidence: Evidence) -> str:
	"""Return the state of a page within a body."""
	passed = evidence.passed
	state = "" if passed == (0, 0) else paginator.state
	return _AGAIN + json.dumps({"state": state, "passed": passed})


def _back_to_body(request: ListRequest) -> ListRequest:
	"""Return a request that begins where its state leads: at the beginning of a body, if it was left within one."""
	if not request.state.startswith(_AGAIN):
		return request
	try:
		left = json.loads(request.state[len(_AGAIN) :])
		passed = left["passed"] and (int(left["passed"][0]), int(left["passed"][1]))
		return replace(request, state=str(left["state"]), passed=passed)
	except (ValueError, TypeError, KeyError, IndexError):
		raise MalformedAnswer("The place to resume at cannot be read.") from None


def _into_file(build: Callable[..., Call], chosen: ResponseFormat) -> Callable[..., Call]:
	"""Return what builds requests whose answers are kept in files."""

	def built(*given: Any, **options: Any) -> Call:
		call = build(*given, **options)
		headers = {"Accept": chosen.accepts, "Accept-Encoding": "gzip", **call.options.get("headers", {})}
		return replace(call, options={**call.options, "headers": headers, "spooled": True})

	return built


def _one_by_one(fetcher: Prefetcher, paginator: Paginator) -> Iterator[requests.Response]:
	while not paginator.done:
		yield fetcher.fetch()


def _read(
	connector: BaseConnector,
	responses: Iterable[requests.Response],
	paginator: Paginator,
	request: ListRequest,
	begin: Callable[[], None] | None = None,
) -> Iterator[Page]:
	"""Turn answers into pages, and say with the last one whether the list is known to be complete.

	The same page twice is the end, unless the source says that there is more; then, as where there is no end, it
	is an error instead of a loop. begin: called with each page, before the caller has it: has the next one fetched
	meanwhile.
	"""
	evidence, known = Evidence(request), KnownSecrets(connector.redactor)
	previous: Body | None = None
	states: set[str] = set()
	empty = _Empty()
	for number, response in enumerate(_to_the_end(responses, paginator, evidence, request), 1):
		body = opened(connector, response, request)
		with _explained(connector, response):
			body.begin(known)
			is_repeated = body.repeats(previous, request.id_path if paginator.independent else "")
			records: list = []
			for part in body.parts():
				if records and not is_repeated:
					yield Page(records, _within_body(paginator, evidence), False, 0)
				records = part
			empty.see(body.counted, response.content)
			if number > MAX_PAGES or empty.too_many:
				raise MalformedAnswer(_endless(number, empty.count, paginator))
			if ignored := getattr(response, "ignored_status", 0):
				yield Page(
					[],
					paginator.state,
					True,
					_size(response),
					_doubt_of_ignored(ignored, number == 1 and not request.state),
				)
				return
			evidence.add(body.answer, response.headers, response.url, len(body.counted))
			paginator.update_state(body.answer, body.counted, response)
			_check_state(paginator, known)
			if is_repeated:
				last = _repeated(evidence, paginator, _size(response))
			elif paginator.state in states and not paginator.done:
				raise MalformedAnswer("The pages lead back to an earlier page.")
		if is_repeated:
			yield last
			return
		previous = body
		states.add(paginator.state)
		if begin:
			begin()
		doubt = body.doubt or (_doubt(evidence, paginator) if paginator.done else None)
		yield Page(records, paginator.state, paginator.done, _size(response), doubt)
	if not paginator.done:
		yield Page([], paginator.state, True, 0, evidence.at_end(said=True))


def _size(response: requests.Response) -> int:
	"""Return the bytes of a body, as it came."""
	return getattr(response, "size", None) or len(response.content)


def _to_the_end(
	responses: Iterable[requests.Response],
	paginator: Paginator,
	evidence: Evidence,
	request: ListRequest,
) -> Iterator[requests.Response]:
	"""Return the answers; without an error where a page behind the end is refused, and all that there is has come.

	By the request's end statuses the source says by itself that a page is behind the end, if it is not the first one.
	"""
	begun = bool(request.state)
	try:
		for response in responses:
			yield response
			begun = True
	except ConnectorError as error:
		if begun and error.status in request.end_statuses:
			return
		if not (paginator.independent and error.status in _BEHIND_END and evidence.says_all):
			raise


def _doubt_of_ignored(status: int, is_first: bool) -> Doubt | None:
	"""Return the doubt about a list that ended with an ignored answer; a list that is not there has no records."""
	if is_first and status in _NOT_THERE:
		return None
	return Doubt(f"an answer was ignored (HTTP {status})", "Answer Rules (answer_rules)")


class _Empty:
	"""Counts pages without a record, one after the other, and those of them that say the same."""

	def __init__(self) -> None:
		self.count = self._same = 0
		self._said = b""

	def see(self, records: list, content: bytes) -> None:
		if records:
			self.count = self._same = 0
			return
		self._same = self._same + 1 if self.count and content == self._said else 0
		self.count, self._said = self.count + 1, content

	@property
	def too_many(self) -> bool:
		return self.count > MAX_EMPTY or self._same >= MAX_SAME


def _endless(pages: int, empty: int, paginator: Paginator) -> str:
	"""Return what to say of a list without an end, and the setting to look at."""
	look = "Pagination (pagination)"
	if paginator.more_path:
		look = (
			f"Has More Path (more_path): what is at {paginator.more_path!r} says each time that there is more"
		)
	return f"No end after {pages} pages, the last {empty} of them empty. Check {look}."


def _check_state(paginator: Paginator, known: KnownSecrets) -> None:
	"""Refuse a cursor or link that is a secret, or holds one: it is kept as the stream's checkpoint."""
	if not paginator.independent and known.stands_in(paginator.state):
		raise MalformedAnswer(f"cursor_path: {is_secret()}")


def _doubt(evidence: Evidence, paginator: Paginator) -> Doubt | None:
	"""Return why the end of a fetch does not prove its list complete, None if it does."""
	by_more_path = paginator.said and bool(paginator.more_path)
	never_there = "" if paginator.met else paginator.more_path
	return evidence.at_end(said=paginator.said, by_more_path=by_more_path, never_there=never_there)


def _repeated(evidence: Evidence, paginator: Paginator, size: int) -> Page:
	"""Return the page that ends a fetch whose source gives its last page again and again.

	Raises MalformedAnswer if the source says that there is more.
	"""
	evidence.take_back()
	if paginator.done:
		return Page([], paginator.state, True, size, _doubt(evidence, paginator))
	if more := evidence.more():
		raise MalformedAnswer(
			f"The same page arrived twice, though {more.sign}; the pagination settings do not match the source. "
			f"Look at {more.setting}."
		)
	return Page([], paginator.state, True, size, evidence.repeated())


@contextmanager
def _explained(connector: BaseConnector, response: requests.Response) -> Iterator[None]:
	"""Have errors about an answer carry what it was asked with, its status and its body."""
	try:
		yield
	except ConnectorError as error:
		raise connector.explain(error, response) from None
