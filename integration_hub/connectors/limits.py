"""What a server says of its own request budget, read from the headers of an answer."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from integration_hub.connectors.retry import retry_after

_EPOCH = 10**8  # a reset above this is a time, below it a number of seconds
_LONGEST = 24 * 3600.0
# RateLimit of draft-ietf-httpapi-ratelimit-headers: `"default";r=0;t=30`, earlier `limit=10, remaining=0, reset=30`.
_REMAINING = re.compile(r"(?:^|[;,\s])(?:r|remaining)=(\d{1,12})(?=$|[;,\s])")
_RESET = re.compile(r"(?:^|[;,\s])(?:t|reset)=(\d{1,12})(?=$|[;,\s])")


def pause_asked(headers: Mapping[str, str], status: int) -> float:
	"""Return the seconds in which the server wants no more requests, 0 for none.

	Reads Retry-After of a 429 or 503, and a remaining budget of zero with its reset from X-RateLimit-*,
	RateLimit-* and RateLimit. What cannot be read says nothing.
	"""
	asked = retry_after(headers.get("Retry-After")) if status in (429, 503) else None
	if asked is not None:
		return min(asked, _LONGEST)
	remaining, reset = _budget(headers)
	if remaining != 0 or reset is None:
		return 0.0
	seconds = reset - time.time() if reset > _EPOCH else reset
	return min(max(seconds, 0.0), _LONGEST)


def _budget(headers: Mapping[str, str]) -> tuple[int | None, float | None]:
	for prefix in ("X-RateLimit-", "RateLimit-"):
		remaining = _number(headers.get(f"{prefix}Remaining"))
		if remaining is not None:
			return remaining, _number(headers.get(f"{prefix}Reset"))
	text = headers.get("RateLimit", "")
	found, reset = _REMAINING.search(text), _RESET.search(text)
	return (int(found[1]) if found else None), (float(reset[1]) if reset else None)


def _number(text: str | None) -> int | None:
	text = (text or "").strip()
	return int(text) if re.fullmatch(r"\d{1,12}", text, re.ASCII) else None
