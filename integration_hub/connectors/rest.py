"""Lists behind a REST API, page by page, from settings alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jmespath

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.oauth2 import OAuth2Connector
from integration_hub.connectors.pagination import Paginator

MAX_PAGES = 100_000


@dataclass(frozen=True)
class Page:
	"""One page of a list. `state` resumes the walk behind it; `last` says that nothing follows."""

	records: list[dict[str, Any]]
	state: str
	last: bool
	size: int


def fetch_pages(
	connector: BaseConnector,
	endpoint: str,
	paginator: Paginator,
	*,
	params: Mapping[str, Any] | None = None,
	records_path: str = "",
) -> Iterator[Page]:
	"""Walk a list from the paginator's state on; one page is held at a time.

	records_path: jmespath of the list within the answer, empty for the whole answer.
	Raises ConnectorError; MalformedAnswer where there is no list of objects at `records_path`.
	"""
	previous = None
	for _ in range(MAX_PAGES):
		path, query = paginator.update_request(endpoint, dict(params or {}))
		response = connector.request("GET", path, params=query, raw=True)
		answer = connector.parse(response)
		records = find_records(answer, records_path)
		if records and response.content == previous:
			raise MalformedAnswer("The same page came twice; the pagination settings do not fit the source.")
		previous = response.content
		paginator.update_state(answer, records, response)
		yield Page(records, paginator.state, paginator.done, len(response.content))
		if paginator.done:
			return
	raise MalformedAnswer(f"No end after {MAX_PAGES} pages.")


def find_records(answer: Any, records_path: str) -> list[dict[str, Any]]:
	"""Return the list of objects at `records_path`; raises MalformedAnswer if there is none."""
	found = jmespath.search(records_path, answer) if records_path else answer
	if not isinstance(found, list):
		raise MalformedAnswer(f"records_path {records_path or '(whole answer)'}: no list is there.")
	if not all(isinstance(record, dict) for record in found):
		raise MalformedAnswer(f"records_path {records_path or '(whole answer)'}: a record is not an object.")
	return found


class RestConnector(BaseConnector):
	"""Any REST API, by settings alone."""


class OAuth2RestConnector(OAuth2Connector, RestConnector):
	"""Any REST API behind OAuth2, by settings alone."""
