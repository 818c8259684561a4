"""Names and keys of the engine's rows."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from typing import Any


def new_id() -> str:
	"""Return a unique name that sorts by the time it was made (24 characters)."""
	return f"{time.time_ns() // 1000:014x}{secrets.token_hex(5)}"


def key(*parts: str) -> str:
	"""Return the sha256 of length-prefixed parts: no two different lists of parts share one."""
	digest = hashlib.sha256()
	for part in parts:
		data = part.encode("utf-8", "surrogatepass")
		digest.update(len(data).to_bytes(8, "big") + data)
	return digest.hexdigest()


def content_hash(values: Any) -> str:
	"""Return a hash of a JSON-like value, the same for equal content whatever the order of its keys."""
	text = json.dumps(values, sort_keys=True, ensure_ascii=True, default=str, separators=(",", ":"))
	return hashlib.sha256(text.encode()).hexdigest()
