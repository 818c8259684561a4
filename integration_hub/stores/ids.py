"""Names and keys of the engine's rows."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from datetime import datetime, timezone
from typing import Any

HASH_LENGTH = 40  # hex digits of a hash that is kept: 160 bits, as git's; a shorter key makes a faster index


def new_id() -> str:
	"""Return a unique name that sorts by the time it was made (24 characters)."""
	return f"{time.time_ns() // 1000:014x}{secrets.token_hex(5)}"


def new_ids(count: int) -> list[str]:
	"""Return unique names in ascending order, at the cost of one."""
	first, random = time.time_ns() // 1000, secrets.token_hex(5 * count)
	return [f"{first + n:014x}{random[10 * n : 10 * n + 10]}" for n in range(count)]


def key(*parts: str) -> str:
	"""Return the sha256 of length-prefixed parts: no two different lists of parts share one."""
	return hashlib.sha256(b"".join(map(_prefixed, parts))).hexdigest()


def _prefixed(part: str) -> bytes:
	data = part.encode("utf-8", "surrogatepass")
	return len(data).to_bytes(8, "big") + data


def made_at(name: str) -> float:
	"""Return when a name was made by new_id, in seconds since the epoch; raises ValueError for another name."""
	return int(name[:14], 16) / 1e6


def utc_made_at(name: str) -> str:
	"""Return when a name was made by new_id, as UTC text that sorts by time; "" for another name."""
	try:
		moment = datetime.fromtimestamp(made_at(name), timezone.utc)
	except (ValueError, OverflowError, OSError):
		return ""
	return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def first_id(seconds: float) -> str:
	"""Return what sorts before each name that new_id makes at a time, in seconds since the epoch, or later."""
	return f"{int(seconds * 1e6):014x}"


def content_hash(value: Any) -> str:
	"""Return a hash of a JSON-like value, the same for equal content whatever the order of its keys."""
	text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str, separators=(",", ":"))
	return hashlib.sha256(text.encode()).hexdigest()
