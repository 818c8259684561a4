"""Cron expressions: what they say, and what they cannot."""

from __future__ import annotations

from datetime import datetime

from croniter import croniter

LONGEST_CRON = 140  # characters; a longer one takes its time to read


def is_cron(text: str) -> bool:
	"""Tell whether text is a cron expression, also one that never comes due."""
	return len(text) <= LONGEST_CRON and croniter.is_valid(text)


def next_times(text: str, after: datetime, count: int) -> list[datetime]:
	"""Return the next times of an expression, at most `count`: fewer where it comes due no more (February 30th)."""
	found: list[datetime] = []
	if not is_cron(text):
		return found
	times = croniter(text, after)
	try:
		while len(found) < count:
			found.append(times.get_next(datetime))
	except (ValueError, OverflowError):  # croniter's own are ValueErrors
		pass
	return found
