"""Faults the sandbox can be told to have: in the next requests, or at random.

Those that end in «after» come when the request has had its effect: its answer is lost.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Mapping

KINDS = ("500", "503", "reset", "truncate", "slow", "garbage", "500 after", "reset after")


class Faults:
	"""The faults that requests meet: those set to come next, then some at random."""

	def __init__(self, seed: int = 1) -> None:
		self._random = random.Random(seed)
		self._lock = threading.Lock()
		self._next: list[str] = []
		self._rates: dict[str, float] = {}
		self.slow_seconds = 0.5
		self.met: dict[str, int] = dict.fromkeys(KINDS, 0)

	def set(self, rates: Mapping[str, float] | None = None, following: Iterable[str] = ()) -> None:
		"""Set the faults to come.

		rates: chance of each kind per request. following: kinds that the next requests meet, in order
		(`none` lets one pass).

		Raises ValueError for an unknown kind.
		"""
		rates, following = dict(rates or {}), list(following)
		for kind in [*rates, *following]:
			if kind not in (*KINDS, "none"):
				raise ValueError(f"{kind!r} is not one of {', '.join(KINDS)}")
		with self._lock:
			self._rates, self._next = rates, following

	def draw(self) -> str | None:
		"""Return the fault of this request, None for none."""
		with self._lock:
			kind = self._next.pop(0) if self._next else self._at_random()
			if kind in (None, "none"):
				return None
			self.met[kind] += 1
			return kind

	def _at_random(self) -> str | None:
		return next((kind for kind, rate in self._rates.items() if self._random.random() < rate), None)
