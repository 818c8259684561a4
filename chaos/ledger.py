"""What was sent, and what of it was confirmed: one side of the comparison."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Ledger:
	"""Filled by several threads.

	Marks name what is to have its effect once: `sent` all of it, `confirmed` what the sender was told is safe.
	news: ids of events that tell of a change in the CRM; bad_news: of one that nobody can write, with the
	record's id and time. conflicts, unrouted: ids of what has to be held.
	"""

	counts: Counter[str] = field(default_factory=Counter)
	sent: set[str] = field(default_factory=set)
	confirmed: set[str] = field(default_factory=set)
	news: set[str] = field(default_factory=set)
	bad_news: dict[str, tuple[str, str]] = field(default_factory=dict)
	conflicts: set[str] = field(default_factory=set)
	unrouted: set[str] = field(default_factory=set)
	forged: set[str] = field(default_factory=set)
	garbage: set[bytes] = field(default_factory=set)
	surprises: list[str] = field(default_factory=list)
	_lock: threading.Lock = field(default_factory=threading.Lock)

	def count(self, kind: str) -> None:
		with self._lock:
			self.counts[kind] += 1

	def surprise(self, text: str) -> None:
		with self._lock:
			self.surprises.append(text)
