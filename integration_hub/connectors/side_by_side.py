"""Single resources fetched side by side, within the rate budget: each in its turn, in the order they were asked for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from integration_hub.connectors.errors import ConnectorError

if TYPE_CHECKING:
	from integration_hub.connectors.base import BaseConnector


def fetch_each(connector: BaseConnector, paths: Iterable[str], lanes: int) -> Iterator[Any]:
	"""Return the parsed answer for each path, or the ConnectorError that it ended in.

	As in parallel_fetch, a lane tries once, and what fails is repeated here, where secrets may be read.
	"""
	if lanes <= 1:
		for path in paths:
			yield _outcome(connector, path, None)
		return
	left, queue, closed = iter(paths), deque[tuple[str, Future]](), threading.Event()
	pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
	try:
		while True:
			while len(queue) < lanes and (path := next(left, None)) is not None:
				queue.append((path, _begin(connector, pool, path, closed)))
			if not queue:
				return
			yield _outcome(connector, *queue.popleft())
	finally:
		closed.set()
		pool.shutdown(wait=True, cancel_futures=True)


def _begin(connector: BaseConnector, pool: ThreadPoolExecutor, path: str, closed: threading.Event) -> Future:
	try:
		auth = connector.credentials()
	except ConnectorError as error:
		failed: Future = Future()
		failed.set_exception(error)
		return failed
	wanted = lambda: not closed.is_set()  # noqa: E731
	return pool.submit(connector.request, "GET", path, raw=True, auth=auth, wanted=wanted)


def _outcome(connector: BaseConnector, path: str, begun: Future | None) -> Any:
	try:
		response = connector.request("GET", path, raw=True, begun=begun.result if begun else None)
		return connector.parse(response)
	except ConnectorError as error:
		return error
