"""Headers by which a server tells its own request budget."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import islice

from integration_hub.connectors.retry import retry_after, seconds_until

_LONGEST = 24 * 3600.0
# Retry-After, X-Retry-After, X-RateLimit-Retry-After, retry-after-ms, x-ms-retry-after-ms.
_RETRY_AFTER = re.compile(r"(?:[a-z]+-)*retry-after(?:-[a-z]+)*", re.IGNORECASE)
# X-RateLimit-Remaining, X-Rate-Limit-Requests-Left, anthropic-ratelimit-tokens-reset, x-ratelimit-reset-requests.
_BUDGET = re.compile(r"((?:[a-z]+-)*)rate-?limits?-([a-z-]+)", re.IGNORECASE)
_REMAINING = frozenset({"remaining", "left"})
_RESET = frozenset({"reset", "resets"})
_MILLISECONDS = frozenset({"ms", "millis", "milliseconds"})
_NO_KIND = _REMAINING | _RESET | _MILLISECONDS | {"requests", "time", "after", "at", "in", "seconds"}
# RateLimit of draft-ietf-httpapi-ratelimit-headers: `"default";r=0;t=30`, earlier `limit=10, remaining=0, reset=30`.
_LEFT = re.compile(r"(?:^|[;,\s])(?:r|remaining)=(\d{1,12})(?=$|[;,\s])")
_UNTIL = re.compile(r"(?:^|[;,\s])(?:t|reset)=(\d{1,12})(?=$|[;,\s])")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{0,12})?", re.ASCII)
_FIRST = 64  # headers of a kind that are looked at


def pause_asked(headers: Mapping[str, str], status: int) -> float:
	"""Return the seconds in which the server wants no more requests, 0 for none.

	Reads Retry-After of a refusal (403, 429, and what comes from 500 on), in seconds or milliseconds, and a remaining
	budget of zero with its reset from RateLimit and from headers that are named after a rate limit. A 429 need not say
	that nothing is left. What cannot be read says nothing.
	"""
	asked = _retry_after(headers) if status in (403, 429) or status >= 500 else None
	if asked is not None:
		return min(asked, _LONGEST)
	resets = [
		reset
		for left, reset in _budgets(headers)
		if reset is not None and (left <= 0 if left is not None else status == 429)
	]
	return min(float(math.ceil(max(resets))), _LONGEST) if resets else 0.0


def asks_to_wait(headers: Mapping[str, str]) -> bool:
	"""Tell whether a refusal means that too much was asked for: by Retry-After, or by a budget that is used up."""
	if _retry_after(headers) is not None:
		return True
	return any(left is not None and left <= 0 for left, _ in _budgets(headers))


def _retry_after(headers: Mapping[str, str]) -> float | None:
	"""Return the longest pause that is asked for by a header of this name, in its seconds or milliseconds."""
	found = [
		retry_after(_in_seconds(text) if _words(name) & _MILLISECONDS else text)
		for name, text in _named(headers, _RETRY_AFTER)
	]
	return max((seconds for seconds in found if seconds is not None), default=None)


def _budgets(headers: Mapping[str, str]) -> Iterator[tuple[float | None, float | None]]:
	"""Return what is left of each budget that is spoken of, and the seconds until it is whole again."""
	left, resets = {}, {}
	for name, text in _named(headers, _BUDGET):
		before, after = _BUDGET.fullmatch(name).groups()
		words = _words(after)
		budget = (before.lower(), frozenset(words - _NO_KIND))
		if words & _REMAINING and _NUMBER.fullmatch(text.strip()):
			left[budget] = float(text.strip())
		elif words & _RESET and (seconds := _reset(text, words)) is not None:
			# A server that says both, when and after how long, means the same; by its clock, and by none.
			resets[budget] = seconds if "after" in words or budget not in resets else resets[budget]
	for budget in left.keys() | resets.keys():
		yield left.get(budget), resets.get(budget, resets.get((budget[0], frozenset())))
	yield from _in_one(headers.get("RateLimit", ""))


def _in_one(text: str) -> Iterator[tuple[float | None, float | None]]:
	# One member a policy in the later form; in the earlier one the commas are between the parts of one.
	for member in [text] if "remaining=" in text else text.split(","):
		found, reset = _LEFT.search(member), _UNTIL.search(member)
		yield (float(found[1]) if found else None), (float(reset[1]) if reset else None)


def _named(headers: Mapping[str, str], name: re.Pattern[str]) -> Iterator[tuple[str, str]]:
	return islice(((key, text) for key, text in headers.items() if name.fullmatch(key)), _FIRST)


def _words(name: str) -> set[str]:
	return set(name.lower().split("-"))


def _reset(text: str, words: set[str]) -> float | None:
	return seconds_until(_in_seconds(text) if words & _MILLISECONDS else text)


def _in_seconds(text: str) -> str:
	"""Return milliseconds as seconds; a number of this length is a time, which is read by its size."""
	text = text.strip()
	if not _NUMBER.fullmatch(text) or len(text.partition(".")[0]) > 11:
		return text
	return f"{max(float(text), 0.0) / 1000:f}"
