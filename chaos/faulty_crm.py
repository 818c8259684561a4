"""The sandbox CRM, with what can go wrong in its data, its clock and its tokens."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import Any

from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import Tokens
from integration_hub.sandbox.data import Customer, Customers

_PAGE = 50
_LEEWAY = timedelta(seconds=40)  # how far a clock goes back at most; the overlap of a watermark is a minute


class Source(Sandbox):
	"""A sandbox that can spoil a page of its records, move its clock, and knows all tokens it ever gave."""

	def __init__(self, customers: int, seed: int):
		super().__init__(customers, seed)
		self.customers = _Customers(customers, seed)
		self.tokens = _RecordedTokens()
		self._spoilt: dict[str, Any] = {}
		self.ever_spoilt: set[str] = set()
		self._right: datetime | None = None
		self._highest = self.customers.clock

	def spoil_page(self, start: float) -> None:
		"""Give a page's worth of customers, `start` (0 to 1) of the way into the list, a credit limit of words."""
		rows = self.customers.alive()
		first = int(start * max(len(rows) - _PAGE, 0))
		for row in rows[first : first + _PAGE]:
			if row["id"] not in self._spoilt:
				self._spoilt[row["id"]] = row["credit_limit"]
				self.ever_spoilt.add(row["id"])
			self.customers.set(row["id"], credit_limit="as much as she likes")

	def mend_records(self) -> None:
		spoilt, self._spoilt = self._spoilt, {}
		alive = {row["id"]: row for row in self.customers.alive()}
		for id, value in spoilt.items():
			if id in alive and isinstance(alive[id]["credit_limit"], str):
				self.customers.set(id, credit_limit=value)

	def move_clock(self, seconds: float) -> None:
		self._highest = max(self._highest, self._right or self.customers.clock)
		moved = self.customers.clock + timedelta(seconds=seconds)
		self.customers.clock = max(moved, self._highest - _LEEWAY)

	def clock_from_the_future(self) -> None:
		"""Put the clock days ahead of everybody else's."""
		self._right = self._right or self.customers.clock
		self.customers.clock = datetime.now(timezone.utc) + timedelta(days=3)

	def clock_put_right(self) -> None:
		if self._right:
			self.customers.clock, self._right = self._right, None


class _Customers(Customers):
	"""A row's own time does not go back with the clock, as where a database sees to it; what stood in the future does."""

	def _date(self, row: Customer) -> str:
		now, last = self._tick(), row["updated_at"]
		ahead = datetime.fromisoformat(last.replace("Z", "+00:00")) - self.clock
		return last if timedelta() < ahead < 2 * _LEEWAY else now


class _RecordedTokens(Tokens):
	def __init__(self) -> None:
		super().__init__()
		self.given: list[str] = []

	def _issue(self) -> dict[str, Any]:
		answer = super()._issue()
		self.given.append(answer["access_token"])
		return answer


def changes(dice: random.Random) -> dict[str, int]:
	"""Return what changes at a time: now and then a few, seldom many."""
	many = 10 if dice.random() < 0.05 else 1
	return {
		"create": dice.randint(0, 1) * many,
		"update": dice.randint(0, 3) * many,
		"delete": dice.randint(0, 1) * many,
	}
