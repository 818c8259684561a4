"""The attempts at an event: a line of JSON each, in its own row.

A table of their own would be an insert and an index entry an event; a line is written by the statement that ends the
attempt anyway.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

KEPT = 20
LOST = "Lost"  # the worker that handled it is gone

Outcome = Literal["Completed", "Failed", "Dead", "Deferred", "Unrouted", "Conflict", "Lost"]


@dataclass(frozen=True)
class Attempt:
	"""One attempt. at: when it began; seconds: how long it took, None where nobody knows.

	route: the pattern, action and target that it took. doctype, document: what it made or changed.
	"""

	at: str
	seconds: float | None
	outcome: str
	route: str = ""
	doctype: str = ""
	document: str = ""
	error: str = ""
	error_log: str = ""

	@property
	def line(self) -> str:
		"""Return the attempt as one line of JSON, as a row keeps it."""
		seconds = None if self.seconds is None else round(self.seconds, 6)
		parts = (self.at, seconds, self.outcome, self.route)
		return f"{json.dumps([*parts, self.doctype, self.document, self.error, self.error_log])}\n"


def attempts(text: str | None) -> list[Attempt]:
	"""Return the attempts that a row tells of, oldest first; what is no attempt is left out."""
	found = []
	for line in (text or "").splitlines():
		try:
			found.append(Attempt(*json.loads(line)))
		except (ValueError, TypeError):
			continue
	return found


def with_attempt(text: str | None, attempt: Attempt) -> str:
	"""Return what a row tells of its attempts and one more: the last of them."""
	if not text:
		return attempt.line
	lines = [*text.splitlines(keepends=True)[1 - KEPT :], attempt.line]
	return "".join(lines)
