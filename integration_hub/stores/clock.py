"""Times as the database stores them, and how far they may lie from now."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from integration_hub.stores.ids import made_at

if TYPE_CHECKING:
	from integration_hub.stores.runtime import Runtime

# The years that each database holds; and room for a time zone on both sides.
_FIRST, _LAST = datetime(1000, 1, 2), datetime(9999, 12, 30)


def shifted(moment: datetime, seconds: float) -> datetime:
	"""Return the time `seconds` after `moment`, or before it: what lies beyond all calendars ends with them."""
	first, last = _FIRST.replace(tzinfo=moment.tzinfo), _LAST.replace(tzinfo=moment.tzinfo)
	try:
		return min(max(moment + timedelta(seconds=seconds), first), last)
	except (OverflowError, ValueError):  # ValueError: no number at all
		return first if seconds < 0 else last


def slack(runtime: Runtime) -> float:
	"""Return the seconds by which times may lie ahead of now, and all clocks be right: an hour comes twice in autumn."""
	return _CLOCKS_DIFFER if runtime.zone == "UTC" else _CLOCKS_DIFFER + 3600.0


def is_ahead(name: str) -> bool:
	"""Tell whether a name that sorts by the time it was made was made at a time to come: by a clock that was ahead."""
	try:
		return len(name) >= 14 and made_at(name) > time.time() + _CLOCKS_DIFFER
	except ValueError:  # a name that somebody else has given
		return False


def newest_ahead(runtime: Runtime) -> float | None:
	"""Return the latest time to come at which a run began or an event was received, None if there is none."""
	names = [
		row["name"]
		for doctype in ("Webhook Log", "Sync Log")
		for row in runtime.db.query(f"SELECT MAX(`name`) AS `name` FROM `tab{doctype}`")
		if row["name"] and is_ahead(row["name"])
	]
	return max(map(made_at, names), default=None)


_CLOCKS_DIFFER = 60.0
