"""The longest statement a database takes, and the share of it that an event needs."""

from __future__ import annotations

import re

from integration_hub.stores.inbox import Event
from integration_hub.stores.runtime import Runtime

_OTHER_COLUMNS = 2_000  # bytes that an event has beside its payload, about
_ESCAPED = re.compile(r"[\"'\\\n\r\x1a]")  # what a driver puts a backslash before


def size_of(event: Event) -> int:
	"""Return about how many bytes of a statement an event takes."""
	text = event.payload
	return len(text.encode("utf-8", "replace")) + len(_ESCAPED.findall(text)) + _OTHER_COLUMNS


def longest_statement(runtime: Runtime) -> int:
	"""Return how long a statement may be, 0 where there is no such limit.

	MariaDB answers a longer one by closing the connection, which looks like one that was lost.
	"""
	if runtime.db.dialect != "mariadb":
		return 0
	return int(runtime.db.query("SELECT @@max_allowed_packet AS `size`")[0]["size"])
