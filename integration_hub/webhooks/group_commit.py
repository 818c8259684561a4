"""Events that arrive at the same time share one transaction: a commit waits for the disk, and one wait does for all."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from integration_hub.stores import inbox
from integration_hub.stores.runtime import Runtime

_MOST_CHARACTERS = 1_000_000  # characters of payloads in one statement, which databases limit


@dataclass(eq=False)
class _Waiting:
	events: Sequence[inbox.Event]
	verdicts: list[inbox.Verdict] | None = None
	alone: bool = False

	@property
	def size(self) -> int:
		return sum(len(event.payload) for event in self.events)


class GroupCommit:
	"""Stores as `inbox.store` does, for many threads at once.

	A thread that comes while another one commits waits for its turn; the first to have it stores, over its own
	connection, what all who wait have brought. Nobody waits for company: a single event is stored at once.
	"""

	def __init__(self) -> None:
		self._waiting: deque[_Waiting] = deque()
		self._turn = Lock()

	def __call__(self, runtime: Runtime, events: Sequence[inbox.Event]) -> list[inbox.Verdict]:
		"""Return a verdict for each event, all of them committed. Raises what `inbox.store` does."""
		mine = _Waiting(events)
		self._waiting.append(mine)
		with self._turn:
			if mine.verdicts is None and not mine.alone:
				self._store(runtime, mine)
		# The failure may be one event's fault: store each by itself.
		return mine.verdicts if mine.verdicts is not None else inbox.store(runtime, events)

	def _store(self, runtime: Runtime, mine: _Waiting) -> None:
		self._waiting.remove(mine)
		group, size = [mine], mine.size
		while self._waiting and size < _MOST_CHARACTERS:
			group.append(self._waiting.popleft())
			size += group[-1].size
		try:
			verdicts = iter(inbox.store(runtime, [event for one in group for event in one.events]))
		except BaseException as error:
			for one in group:
				one.alone = True
			if len(group) == 1 or not isinstance(error, Exception):
				raise
			return
		for one in group:
			one.verdicts = [next(verdicts) for _ in one.events]
