"""Fetching pages side by side, where a page can be asked for before the one in front of it is here.

Answers come in order, and no more of them are held than there are lanes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import requests
from requests.auth import AuthBase

from integration_hub.connectors.pagination import Paginator

if TYPE_CHECKING:
	from integration_hub.connectors.base import BaseConnector
	from integration_hub.connectors.request_template import Call


def fetch_in_parallel(
	connector: BaseConnector, call: Callable[[Paginator], Call], paginator: Paginator, lanes: int
) -> Iterator[requests.Response]:
	"""Return the answers from the paginator's state on; the caller updates `paginator` with each before the next.

	call: makes the request for the page that a paginator stands at.

	A page shorter than asked for (a server that caps the size) moves the ones behind it: what was fetched on
	the wrong assumption is dropped and asked for again. A lane tries once: what fails is repeated here, and counted,
	when its page is the next one, so that what nobody needs is neither. Secrets are read in the caller's thread only: they
	live in a database connection.
	"""
	queue: deque[_Lane] = deque()
	pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
	try:
		while not paginator.done:
			if queue and queue[0].state != paginator.state:
				_drop(queue)
			while len(queue) < lanes:
				there = paginator.ahead(len(queue))
				ahead = call(there)
				lane = _Lane(there.state, queue[-1] if queue else None)
				lane.fetch = pool.submit(
					lane.work,
					partial(connector.request, ahead.method, ahead.path, raw=True, **ahead.options),
					connector.credentials(),
				)
				queue.append(lane)
			next_ = call(paginator)
			begun = queue.popleft().fetch.result
			yield connector.request(next_.method, next_.path, raw=True, begun=begun, **next_.options)
	finally:
		_drop(queue)
		pool.shutdown(wait=True)


class _Lane:
	"""A page on its way, which may turn out to be behind the end, or not the one that comes next.

	before: the page in front of it, which has its turn of the rate budget first.
	"""

	fetch: Future

	def __init__(self, state: str, before: _Lane | None) -> None:
		self.state, self._before = state, before
		self._dropped, self._has_turn = False, threading.Event()

	def work(self, request: Callable[..., requests.Response], auth: AuthBase | None) -> requests.Response:
		if self._before:
			self._before._has_turn.wait()
		self._before = None
		try:
			return request(auth=auth, wanted=self.wanted)
		finally:
			self._has_turn.set()

	def wanted(self) -> bool:
		"""Let the next fetch have its turn; tell whether this one is still wanted, now that its request may leave."""
		self._has_turn.set()
		return not self._dropped

	def drop(self) -> None:
		self._dropped = True
		self.fetch.cancel()
		self._has_turn.set()


def _drop(queue: deque[_Lane]) -> None:
	while queue:
		queue.popleft().drop()
