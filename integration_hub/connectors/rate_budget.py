"""The rate budget of one external system, shared by all processes that call it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass

from integration_hub.connectors.coordination import Coordination

_LOOK_SECONDS = 0.2  # between two questions whether a request that waits is still wanted
# Requests leave evenly and arrive with jitter: at the full rate, a late one and an early one would meet in the
# server's window. What is left unused is the room for that.
_USED = 0.96


@dataclass(frozen=True)
class Budget:
	"""The state of a rate budget: of `limit` requests in `period` seconds, `left` may still leave within the next such
	period; the first after `wait` seconds, since requests leave evenly, or the system asked for a pause."""

	limit: int
	period: float
	left: int
	wait: float


@dataclass(frozen=True)
class RateBudget:
	"""Lets `limit` requests leave in `period` seconds, evenly; 0 for no limit but the pauses that the system asks for."""

	name: str
	coordination: Coordination
	limit: int
	period: float

	def state(self) -> Budget | None:
		"""Return what is left, None where there is no limit and no pause."""
		wait = self.coordination.wait(self.name)
		if not self.limit and not wait:
			return None
		left = int(max(self.period - wait, 0) / self.period * self.limit)
		return Budget(limit=self.limit, period=self.period, left=left, wait=wait)

	def reserve(self, longest: float) -> float:
		"""Reserve the next request's place; return the seconds until then. Nothing is reserved beyond `longest`."""
		interval = self.period / self.limit / _USED if self.limit else 0.0
		return self.coordination.reserve(self.name, interval, longest)

	def pause(self, seconds: float) -> None:
		"""Let no request leave for some seconds, in all processes."""
		self.coordination.postpone(self.name, seconds)


def sleep_while(wanted: Callable[[], bool], seconds: float) -> None:
	"""Sleep as long as a request is wanted; raises CancelledError once it is not."""
	until = time.monotonic() + seconds
	while wanted() and (left := until - time.monotonic()) > 0:
		time.sleep(min(left, _LOOK_SECONDS))
	if not wanted():
		raise CancelledError
