"""Fetching pages side by side, where a page can be asked for before the one in front of it is here.

Answers come in order, and no more of them are held than there are lanes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import requests

from integration_hub.connectors.pagination import Paginator

if TYPE_CHECKING:
	from integration_hub.connectors.base import BaseConnector


def fetch_in_lanes(
	connector: BaseConnector, endpoint: str, params: dict[str, Any], walk: Paginator, lanes: int
) -> Iterator[requests.Response]:
	"""Return the answers from the paginator's state on; the caller updates `walk` with each before the next.

	A page shorter than asked for (a server that caps the size) moves the ones behind it: what was fetched on
	the wrong assumption is dropped and asked for again. A lane tries once: what fails is repeated here, and counted,
	when its page is the next one, so that what nobody needs is neither. Secrets are read in the caller's thread only: they
	live in a database connection.
	"""
	queue: deque[_Lane] = deque()
	pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
	try:
		while not walk.done:
			if queue and queue[0].state != walk.state:
				_drop(queue)
			while len(queue) < lanes:
				there = walk.ahead(len(queue))
				path, query = there.update_request(endpoint, params)
				lane = _Lane(there.state)
				lane.fetch = pool.submit(
					connector.request,
					"GET",
					path,
					params=query,
					raw=True,
					auth=connector.authenticate(),
					wanted=lane.wanted,
				)
				queue.append(lane)
			path, query = walk.update_request(endpoint, params)
			begun = queue.popleft().fetch.result
			yield connector.request("GET", path, params=query, raw=True, begun=begun)
	finally:
		_drop(queue)
		pool.shutdown(wait=True)


class _Lane:
	"""A page on its way, which may turn out to be behind the end, or not the one that comes next."""

	fetch: Future

	def __init__(self, state: str) -> None:
		self.state, self._dropped = state, False

	def wanted(self) -> bool:
		return not self._dropped

	def drop(self) -> None:
		self._dropped = True
		self.fetch.cancel()


def _drop(queue: deque[_Lane]) -> None:
	while queue:
		queue.popleft().drop()
