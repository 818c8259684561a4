"""Times of arrival from a source, read off the names of rows, which sort by the time they were made."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from integration_hub.stores.database import Database
from integration_hub.stores.ids import first_id, made_at

ENOUGH = 20  # arrivals from which a habit can be told
_SAMPLE = 2000
_QUANTILE, _TIMES, _LONGEST_TIMES = 0.95, 3.0, 1.5
_DROWSY = 0.25  # the part of a stretch that may still have something in it
_LEAST_SECONDS = 15 * 60.0
_DAY = 86_400.0
_WEEK = 7


@dataclass(frozen=True)
class Arrivals:
	"""The rows of a table that mean an arrival: those that fit a condition."""

	db: Database
	doctype: str
	where: str
	params: Sequence[Any] = field(default=())

	def recent(self) -> list[float]:
		"""Return the times of the last arrivals, the oldest first, in seconds since the epoch."""
		return [made_at(name) for name in reversed(self._names("", f"ORDER BY `name` DESC LIMIT {_SAMPLE}"))]

	def first(self) -> float:
		"""Return the time of the oldest one that is kept; raises IndexError if there is none."""
		return made_at(self._names("", "ORDER BY `name` LIMIT 1")[0])

	def any_between(self, start: float, end: float) -> bool:
		"""Tell whether an event arrived between two times, in seconds since the epoch."""
		between = " AND `name` >= %s AND `name` < %s"
		return bool(self._names(between, "LIMIT 1", first_id(start), first_id(end)))

	def _names(self, more: str, rest: str, *params: str) -> list[str]:
		sql = f"SELECT `name` FROM `tab{self.doctype}` WHERE {self.where}{more} {rest}"
		return [row["name"] for row in self.db.query(sql, [*self.params, *params])]


def usual_gap(times: Sequence[float]) -> float | None:
	"""Return the seconds between arrivals that are still usual, None if too few are known.

	It is well above what most gaps are, and above the longest one: a source that rests each night has shown it.
	"""
	gaps = sorted(later - sooner for sooner, later in pairwise(times))
	if len(times) < ENOUGH:
		return None
	most = gaps[int(_QUANTILE * (len(gaps) - 1))]
	return max(_TIMES * most, _LONGEST_TIMES * gaps[-1], _LEAST_SECONDS)


def silent_since(arrivals: Arrivals, now: float) -> float | None:
	"""Return the time of the last arrival if nothing has come for longer than usual since then, else None.

	A stretch of the day that was empty on one of the last seven days as well (a night, a weekend) is no silence:
	a busy source's sample may be too short to show it. What came at its beginning does not count: no source
	falls asleep to the minute.
	"""
	times = arrivals.recent()
	limit = usual_gap(times)
	if limit is None or now - times[-1] <= limit:
		return None
	oldest = arrivals.first()
	begin = times[-1] + max(limit, _DROWSY * (now - times[-1]))
	for days in range(1, _WEEK + 1):
		start, end = begin - days * _DAY, now - days * _DAY
		if start >= oldest and not (_within(times, start, end) or arrivals.any_between(start, end)):
			return None
	return times[-1]


def _within(times: Sequence[float], start: float, end: float) -> bool:
	place = bisect_left(times, start)
	return place < len(times) and times[place] < end
