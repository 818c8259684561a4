"""Names for a person who has mistyped one."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

_MOST = 20  # names that a sentence lists


def near(name: str, known: Collection[str], said: str = "known are") -> str:
	"""Return the end of a sentence about a name that is not known: what may have been meant, or what there is."""
	alike = {one.casefold(): one for one in known}
	if found := get_close_matches(name[:200].casefold(), alike, n=3, cutoff=0.5):
		return f"; did you mean {' or '.join(alike[one] for one in found)}?"
	if not known:
		return ""
	more = f" and {len(known) - _MOST} more" if len(known) > _MOST else ""
	return f"; {said} {', '.join(sorted(known)[:_MOST])}{more}"
