"""The time of a signature: seconds, milliseconds or ISO 8601, near to now or refused."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from integration_hub.webhooks.schemes.base import BadSignature

_DIGITS = re.compile(r"[0-9]{1,15}")
_FRACTION = re.compile(r"(\.[0-9]{1,6})[0-9]*")


def require_recent(timestamp: str, unit: str, tolerance: int) -> None:
	"""Raise BadSignature unless a signed time is within `tolerance` seconds of now, either way."""
	if not timestamp:
		raise BadSignature("timestamp_missing")
	age = time.time() - _READERS[unit](timestamp)
	if age > tolerance:
		raise BadSignature("timestamp_too_old")
	if age < -tolerance:
		raise BadSignature("timestamp_in_the_future")


def now_as(unit: str) -> str:
	"""Return the current time as a sender writes it."""
	return _WRITERS[unit](time.time())


def _seconds(text: str) -> float:
	if not _DIGITS.fullmatch(text) or len(text) > 12:
		raise BadSignature("timestamp_malformed")
	return int(text)


def _milliseconds(text: str) -> float:
	if not _DIGITS.fullmatch(text):
		raise BadSignature("timestamp_malformed")
	return int(text) / 1000


def _iso(text: str) -> float:
	"""Return the seconds of a time by RFC 3339; one without an offset is UTC."""
	if not text.isascii() or len(text) > 40:
		raise BadSignature("timestamp_malformed")
	# Python 3.10 reads neither Z nor other than three or six digits behind the point.
	plain = _FRACTION.sub(lambda found: f"{found[1]:0<7}", re.sub("[zZ]$", "+00:00", text), count=1)
	try:
		at = datetime.fromisoformat(plain)
		return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp()
	except (ValueError, OverflowError):
		raise BadSignature("timestamp_malformed") from None


def _write_iso(seconds: float) -> str:
	return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


_READERS: Mapping[str, Callable[[str], float]] = {
	"Seconds": _seconds,
	"Milliseconds": _milliseconds,
	"ISO 8601": _iso,
}
_WRITERS: Mapping[str, Callable[[float], str]] = {
	"Seconds": lambda seconds: f"{seconds:.0f}",
	"Milliseconds": lambda seconds: f"{seconds * 1000:.0f}",
	"ISO 8601": _write_iso,
}
UNITS = tuple(_READERS)
