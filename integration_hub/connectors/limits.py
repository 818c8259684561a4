"""What a server says of its own request budget, read from the headers of an answer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from integration_hub.connectors.retry import retry_after, seconds_until

_LONGEST = 24 * 3600.0
_PREFIXES = ("X-RateLimit-", "X-Rate-Limit-", "RateLimit-", "Rate-Limit-")
_REMAINING = ("Remaining", "Requests-Left")
_RESET = ("Reset", "Reset-After", "Reset-At")
_RESET_MILLISECONDS = ("Reset-Ms", "Time-Reset-Ms")
# RateLimit of draft-ietf-httpapi-ratelimit-headers: `"default";r=0;t=30`, earlier `limit=10, remaining=0, reset=30`.
_LEFT = re.compile(r"(?:^|[;,\s])(?:r|remaining)=(\d{1,12})(?=$|[;,\s])")
_UNTIL = re.compile(r"(?:^|[;,\s])(?:t|reset)=(\d{1,12})(?=$|[;,\s])")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{0,12})?", re.ASCII)


def pause_asked(headers: Mapping[str, str], status: int) -> float:
	"""Return the seconds in which the server wants no more requests, 0 for none.

	Reads Retry-After of a refusal (403, 429, and what comes from 500 on), and a remaining budget of zero with its
	reset from X-RateLimit-*, X-Rate-Limit-*, RateLimit-* and RateLimit. What cannot be read says nothing.
	"""
	asked = retry_after(headers.get("Retry-After")) if status in (403, 429) or status >= 500 else None
	if asked is not None:
		return min(asked, _LONGEST)
	resets = [
		reset for left, reset in _budgets(headers) if left is not None and left <= 0 and reset is not None
	]
	return min(float(math.ceil(max(resets))), _LONGEST) if resets else 0.0


def asks_to_wait(headers: Mapping[str, str]) -> bool:
	"""Tell whether a refusal means that too much was asked for: by Retry-After, or by a budget that is used up."""
	if retry_after(headers.get("Retry-After")) is not None:
		return True
	return any(left is not None and left <= 0 for left, _ in _budgets(headers))


def _budgets(headers: Mapping[str, str]) -> Iterator[tuple[float | None, float | None]]:
	"""Return what is left of each budget that is spoken of, and the seconds until it is whole again."""
	for prefix in _PREFIXES:
		yield _left(headers, prefix), _reset(headers, prefix)
	text = headers.get("RateLimit", "")
	# One member a policy in the later form; in the earlier one the commas are between the parts of one.
	for member in [text] if "remaining=" in text else text.split(","):
		found, reset = _LEFT.search(member), _UNTIL.search(member)
		yield (float(found[1]) if found else None), (float(reset[1]) if reset else None)


def _left(headers: Mapping[str, str], prefix: str) -> float | None:
	for name in _REMAINING:
		text = (headers.get(prefix + name) or "").strip()
		if _NUMBER.fullmatch(text):
			return float(text)
	return None


def _reset(headers: Mapping[str, str], prefix: str) -> float | None:
	for name in _RESET:
		seconds = seconds_until(headers.get(prefix + name))
		if seconds is not None:
			return seconds
	for name in _RESET_MILLISECONDS:
		text = (headers.get(prefix + name) or "").strip()
		if _NUMBER.fullmatch(text):
			# Of this length it is a time, which is read by its size.
			return seconds_until(text) if len(text.partition(".")[0]) > 11 else max(float(text), 0.0) / 1000
	return None
