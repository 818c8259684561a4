"""Times as the database stores them, and how far they may lie from now."""

from __future__ import annotations

from datetime import datetime, timedelta

# The years that each database holds; and room for a time zone on both sides.
_FIRST, _LAST = datetime(1000, 1, 2), datetime(9999, 12, 30)


def shifted(moment: datetime, seconds: float) -> datetime:
	"""Return the time `seconds` after `moment`, or before it: what lies beyond all calendars ends with them."""
	first, last = _FIRST.replace(tzinfo=moment.tzinfo), _LAST.replace(tzinfo=moment.tzinfo)
	try:
		return min(max(moment + timedelta(seconds=seconds), first), last)
	except (OverflowError, ValueError):  # ValueError: no number at all
		return first if seconds < 0 else last
