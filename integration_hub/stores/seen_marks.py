"""Marks: who has seen a record last, and in which run of its stream.

The runs of a stream are numbered by the database, each one more than the one before. What was seen neither by a run nor
by anybody since it began has a smaller number than the run: no clock, and no name that sorts by one, decides what is gone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from integration_hub.stores.clock import is_ahead
from integration_hub.stores.ids import first_id, made_at, new_id, utc_made_at

_LONGEST_WAIT = 16**9 - 1  # milliseconds; two years


@dataclass(frozen=True, slots=True)
class Mark:
	"""A mark.

	by: the run, or what stands for an event. number: that of the run, or of the stream's last one before the event.
	"""

	by: str
	number: int

	@property
	def overruled_from(self) -> int:
		"""Return the number from which on what stands in a binding stays: somebody has seen its record since.

		Since a run began, that are also those who have its own number; since an event, only those of a later run.
		"""
		return self.number + 1 if is_event(self.by) else self.number


def event_mark(event: str, number: int) -> Mark:
	"""Return the mark of an event, by the name of its row; number: that of its stream's last run.

	It is as long as a run's, and says how many milliseconds ago the event was received.
	"""
	try:
		return Mark(told(made_at(event)), number)
	except ValueError:
		return Mark(told(time.time()), number)


def told(at: float) -> str:
	"""Return the mark's text for an event that was received at a time, in seconds since the epoch."""
	now = new_id()
	waited = int((made_at(now) - at) * 1000)
	return f"{now[:14]}-{min(max(waited, 0), _LONGEST_WAIT):09x}"


def is_event(seen_by: str) -> bool:
	"""Tell whether it is an event, and not a run, that has seen a record."""
	return "-" in seen_by


def told_at(seen_by: str) -> float:
	"""Return when what has seen a record was received, or began, in seconds since the epoch.

	0 where that is not known: it was made elsewhere, or by a clock that was ahead.
	"""
	begun, _, waited = seen_by.partition("-")
	try:
		return 0.0 if is_ahead(begun) else made_at(begun) - (int(waited, 16) / 1000 if waited else 0)
	except ValueError:
		return 0.0


def received(seen_by: str) -> str:
	"""Return when what has seen a record was received, or began, by our clock, as UTC text; "" for nothing."""
	return utc_made_at(first_id(told_at(seen_by))) if seen_by else ""


def begun(run: str) -> str:
	"""Return when a run began, as UTC text: now at the latest, for a clock may have been ahead then."""
	return min(utc_made_at(run), utc_made_at(new_id()))
