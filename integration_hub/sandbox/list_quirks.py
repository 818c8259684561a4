"""Lists of the sandbox in a mood: like systems that filter, cap their lists and lie about the end.

Whatever it says, each customer of `/_sandbox/customers` lives. By its own words a mood can be found out: it says how
many there are, or that more waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Rows = Sequence[dict[str, Any]]
Answer = tuple[dict[str, Any], dict[str, str]]  # body, headers


def holes(rows: Rows, page: int, size: int) -> Answer:
	"""Empty each second page, and go on behind it: everything can be had."""
	number = (page + 1) // 2
	chosen = [] if page % 2 == 0 else rows[(number - 1) * size : number * size]
	behind = number * size < len(rows)
	return {"data": chosen, "page": page, "has_more": behind}, {}


def filters(rows: Rows, page: int, size: int) -> Answer:
	"""Count everything, then leave out each third customer."""
	chosen = rows[(page - 1) * size : page * size]
	shown = [row for place, row in enumerate(chosen) if place % 3]
	return {"data": shown, "page": page, "has_more": page * size < len(rows), "total": len(rows)}, {}


def caps(rows: Rows, page: int, size: int) -> Answer:
	"""Give one page, whichever is asked for, and no word but in a header of how many there are."""
	return {"data": rows[:size], "page": 1, "has_more": False}, {"X-Total-Count": str(len(rows))}


def lies(rows: Rows, page: int, size: int) -> Answer:
	"""Say on each page that it is the last one, and how many pages there are."""
	chosen, pages = rows[(page - 1) * size : page * size], -(-len(rows) // size)
	return {"data": chosen, "has_more": False, "meta": {"current_page": page, "total_pages": pages}}, {}


MOODS: dict[str, Callable[[Rows, int, int], Answer]] = {
	one.__name__: one for one in (holes, filters, caps, lies)
}
