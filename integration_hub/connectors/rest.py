"""Lists behind a REST API, page by page, from settings alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from integration_hub.connectors.ahead import Fetcher
from integration_hub.connectors.answers import refuses, shape
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.errors import ConnectorError, MalformedAnswer, RefusedWithin
from integration_hub.connectors.lanes import fetch_in_lanes
from integration_hub.connectors.oauth2 import OAuth2Connector
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.connectors.pagination import NextLink, Paginator, found_at, paginator

MAX_PAGES = 100_000
MAX_EMPTY = (
	1000  # pages without a record, one after the other: some sources filter what they have counted off
)


class RestConnector(BaseConnector):
	"""Any REST API, by settings alone."""

	# May another thread send a request while the caller writes a page? A subclass says so for itself: what it
	# overrides may need the caller's database.
	fetches_ahead = True

	def pages(self, request: ListRequest) -> Iterator[Page]:
		"""Walk a list; raises MalformedAnswer where there is no list of objects at its records path."""
		since = {request.since_param: request.since} if request.since else {}
		until = {request.until_param: request.until} if request.until and request.until_param else {}
		params = {**request.params, **since, **until}
		walk = paginator(request.pagination["kind"], request.pagination, request.state)
		if isinstance(walk, NextLink) and self.config.auth_type == "API Key Query":
			walk.secret_param = self.config.api_key_name
		if request.lanes > 1 and walk.independent:
			responses = fetch_in_lanes(self, request.endpoint, params, walk, request.lanes)
			return _read(self, responses, walk, request.records_path)
		fetcher = Fetcher(self, request.endpoint, params, walk)
		# A cursor or a link is the source's: to follow it may tell it that what came before is safe.
		ahead = request.ahead and walk.independent and vars(type(self)).get("fetches_ahead", False)
		begin = fetcher.begin if ahead else None
		return _read(self, _one_by_one(fetcher, walk), walk, request.records_path, begin)


class OAuth2RestConnector(OAuth2Connector, RestConnector):
	"""Any REST API behind OAuth2, by settings alone."""

	fetches_ahead = True


def _one_by_one(fetcher: Fetcher, walk: Paginator) -> Iterator[requests.Response]:
	while not walk.done:
		yield fetcher.fetch()


def _read(
	connector: BaseConnector,
	responses: Iterable[requests.Response],
	walk: Paginator,
	records_path: str,
	begin: Callable[[], None] | None = None,
) -> Iterator[Page]:
	"""Turn answers into pages. A page that comes twice, or no end, is an error instead of a loop.

	begin: called with each page, before the caller has it: has the next one fetched meanwhile.
	"""
	previous: list | None = None
	states: set[str] = set()
	empty = 0
	for number, response in enumerate(responses, 1):
		answer = connector.parse(response)
		with _explained(connector, response):
			records = find_records(answer, records_path)
			if records and records == previous:
				raise MalformedAnswer(
					"The same page came twice; the pagination settings do not fit the source."
				)
			empty = 0 if records else empty + 1
			if number > MAX_PAGES or empty > MAX_EMPTY:
				raise MalformedAnswer(f"No end after {number} pages, the last {empty} of them empty.")
			previous = records
			walk.update_state(answer, records, response)
			if walk.state in states and not walk.done:
				raise MalformedAnswer("The pages lead in a circle.")
		states.add(walk.state)
		if begin:
			begin()
		yield Page(records, walk.state, walk.done, len(response.content))


@contextmanager
def _explained(connector: BaseConnector, response: requests.Response) -> Iterator[None]:
	"""Have errors about an answer carry what it was asked with, its status and its body."""
	try:
		yield
	except ConnectorError as error:
		raise connector.explain(error, response) from None


def find_records(answer: Any, records_path: str) -> list[dict[str, Any]]:
	"""Return the list of objects at `records_path`.

	Raises MalformedAnswer if there is none, RefusedWithin if the answer says that it failed and holds no records.
	"""
	found = found_at(answer, records_path, "records_path") if records_path else answer
	place = f"records_path {records_path or '(whole answer)'}"
	if not found and refuses(answer):
		raise RefusedWithin()
	if not isinstance(found, list):
		raise MalformedAnswer(f"{place}: no list is there; {shape(answer)}.")
	if not all(isinstance(record, dict) for record in found):
		raise MalformedAnswer(f"{place}: a record is not an object.")
	return found
