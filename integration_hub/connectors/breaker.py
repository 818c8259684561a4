"""A circuit breaker per external system, shared by all processes.

Closed: requests pass. Open, after a number of failed requests in a row: none does, for a while. Half-open,
after that: one request passes as a probe, and decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from integration_hub.connectors.coordination import Coordination
from integration_hub.connectors.errors import (
	BreakerOpen,
	ConnectionBroken,
	ConnectionFailed,
	ConnectorError,
	RequestTimeout,
	RetryLater,
	ServerError,
)

State = Literal["Closed", "Open", "Half-Open"]

_MEMORY = 3600.0  # failures further apart than this, in seconds, are not "in a row"
_SICK = (ConnectionFailed, ConnectionBroken, RequestTimeout, ServerError)


@dataclass(frozen=True)
class Breaker:
	"""A circuit breaker.

	threshold: failed requests in a row that open it; 0 for never. seconds: how long it stays open.
	"""

	name: str
	coordination: Coordination
	threshold: int = 5
	seconds: float = 60.0

	def before(self) -> None:
		"""Raise BreakerOpen if the next request must not be sent."""
		if not self.threshold:
			return
		if opened := self._opened():
			raise BreakerOpen(opened)
		if self._failures() >= self.threshold and not self.coordination.claim(self._probe, "1", self.seconds):
			raise BreakerOpen(self.seconds)  # somebody else is probing

	def look(self) -> None:
		"""Raise BreakerOpen unless requests pass; unlike `before`, it takes nobody's turn to probe."""
		state, seconds = self.state() if self.threshold else ("Closed", 0.0)
		if state != "Closed":
			raise BreakerOpen(seconds)

	def after(self, error: BaseException | None) -> None:
		"""Take the outcome of a request into account."""
		if not self.threshold or isinstance(error, RetryLater):
			return  # a pause that was asked for is neither a failure nor a success
		if not isinstance(error, _SICK):
			# An answer, even a refusal, shows that the system is there.
			if error is None or (isinstance(error, ConnectorError) and error.status):
				self.close()
			return
		if self.coordination.count(self._counter, _MEMORY) >= self.threshold:
			self.coordination.forget(self._probe)
			self.coordination.claim(self._open, "1", self.seconds)

	def close(self) -> None:
		"""Let requests pass again."""
		if self._failures():
			self.coordination.forget(self._counter, self._open, self._probe)

	def state(self) -> tuple[State, float]:
		"""Return the state, and the seconds until an open breaker lets a probe pass."""
		if opened := self._opened():
			return "Open", opened
		return ("Half-Open" if self.threshold and self._failures() >= self.threshold else "Closed"), 0.0

	def _opened(self) -> float:
		"""Return the seconds for which it is open, 0 if it is not."""
		left = (self.coordination.noted(self._open) or ("", 0.0))[1]
		if (
			left > self.seconds + 1
		):  # nobody opens it for longer: the clock of Redis was ahead, or the settings changed
			self.coordination.forget(self._open, self._probe)
			return 0.0
		return left

	def _failures(self) -> int:
		found = self.coordination.noted(self._counter)
		return int(found[0]) if found else 0

	@property
	def _counter(self) -> str:
		return f"breaker:{self.name}:failures"

	@property
	def _open(self) -> str:
		return f"breaker:{self.name}:open"

	@property
	def _probe(self) -> str:
		return f"breaker:{self.name}:probe"
