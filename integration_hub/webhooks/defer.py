"""«Not yet»: what a handler raises when another event has to come first."""

from __future__ import annotations

MAX_DEFERRALS = 50
LONGEST = 3600.0  # with MAX_DEFERRALS, two days; then it counts as a failure like any other


class Defer(Exception):
	"""Have the event handled again in `seconds` (1 to 3600). What the handler wrote is undone.

	It does not count as a failure, and events of the same ordering key that came later go before it.
	"""

	def __init__(self, seconds: float, why: str = "") -> None:
		self.seconds = min(max(float(seconds), 1.0), LONGEST)
		super().__init__(why or f"The handler postponed the event by {self.seconds:.0f} s.")
