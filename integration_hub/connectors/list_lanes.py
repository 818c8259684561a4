"""Lists fetched side by side: while one is read, the first pages of the next ones are on their way.

They come in their order, and no more of them are begun than there are lanes. Each request has its turn of the rate
budget as any other has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from integration_hub.connectors.errors import ConnectorError
from integration_hub.connectors.pages import ListRequest, Page

T = TypeVar("T")
Begin = Callable[[ListRequest], Iterator[Page]]


def in_lanes(
	lists: Iterable[tuple[T, ListRequest]], begin: Begin, lanes: int
) -> Iterator[tuple[T, ListRequest, Iterator[Page]]]:
	"""Return lists with their requests and pages, begun as many as there are lanes ahead of the one that is read.

	What keeps further lists from being known is raised when those that are known have been given out.
	"""
	waiting: deque[tuple[T, ListRequest, Iterator[Page]]] = deque()
	left = iter(lists)
	failed: Exception | None = None
	while True:
		while not failed and len(waiting) < lanes:
			try:
				one, request = next(left)
			except (StopIteration, ConnectorError) as error:
				failed = error
			else:
				waiting.append((one, request, _begun(begin, request)))
		if waiting:
			yield waiting.popleft()
		elif isinstance(failed, ConnectorError):
			raise failed
		else:
			return


def _begun(begin: Begin, request: ListRequest) -> Iterator[Page]:
	"""Return the pages of a list; what keeps it from being begun is raised where its pages are read."""
	try:
		return begin(request)
	except ConnectorError as error:
		return _raising(error)


def _raising(error: ConnectorError) -> Iterator[Page]:
	raise error
	yield
