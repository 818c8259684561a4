"""Fetching pages side by side, where a page can be asked for before the one in front of it is here.

Answers come in order, and no more of them are held than there are lanes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import requests

from integration_hub.connectors.errors import AuthenticationFailed
from integration_hub.connectors.pagination import Paginator

if TYPE_CHECKING:
	from integration_hub.connectors.base import BaseConnector

MAX_LANES = 8


def fetch_in_lanes(
	connector: BaseConnector, endpoint: str, params: dict[str, Any], walk: Paginator, lanes: int
) -> Iterator[requests.Response]:
	"""Return the answers from the paginator's state on; the caller updates `walk` with each before the next.

	A page shorter than asked for (a server that caps the size) moves the ones behind it: what was fetched on
	the wrong assumption is dropped and asked for again. Secrets are read in the caller's thread only: they
	live in a database connection.
	"""
	queue: deque[tuple[str, Future]] = deque()
	pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
	try:
		while not walk.done:
			if queue and queue[0][0] != walk.state:
				_drop(queue)
			while len(queue) < lanes:
				there = walk.ahead(len(queue))
				path, query = there.update_request(endpoint, params)
				fetch = pool.submit(
					connector.request, "GET", path, params=query, raw=True, auth=connector.authenticate()
				)
				queue.append((there.state, fetch))
			yield _answer(connector, endpoint, params, walk, queue.popleft()[1])
	finally:
		_drop(queue)
		pool.shutdown(wait=True)


def _answer(
	connector: BaseConnector, endpoint: str, params: dict[str, Any], walk: Paginator, fetch: Future
) -> requests.Response:
	try:
		return fetch.result()
	except AuthenticationFailed:
		# The token ran out on the way; here, in the caller's thread, it can be renewed.
		path, query = walk.update_request(endpoint, params)
		return connector.request("GET", path, params=query, raw=True)


def _drop(queue: deque[tuple[str, Future]]) -> None:
	while queue:
		queue.popleft()[1].cancel()
