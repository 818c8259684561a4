"""Records as they are kept while they cannot be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integration_hub.connectors.json_text import write_json


def payload_of(record: Mapping[str, Any]) -> str | None:
	"""Return a record as JSON text, None where it cannot be kept so: the source has to be asked for it again."""
	try:
		return write_json(record, default=str, allow_nan=True, ensure_ascii=True)
	except (ValueError, TypeError, RecursionError):  # nested too deeply, or keys that are no text
		return None
