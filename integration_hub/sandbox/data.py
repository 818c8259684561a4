"""The sandbox's customers: seeded, changing on request, and counted."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

Customer = dict[str, Any]

_FIRST = (
	"Ada",
	"Björn",
	"Chloé",
	"Dmitri",
	"Emeka",
	"Fatima",
	"Grace",
	"Hiro",
	"Inês",
	"Jürgen",
	"Kavya",
	"Li",
)
_LAST = (
	"Abel",
	"Brønsted",
	"Curie",
	"D'Arcy",
	"Euler",
	"Fermi",
	"Goodall",
	"Hopper",
	"Itō",
	"Joule",
	"Kepler",
)
_CITIES = ("Pune", "Zürich", "São Paulo", "Nairobi", "Kyōto", "Reykjavík", "Łódź")
_START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Customers:
	"""The CRM's table and its change feed. All methods are safe to call from several threads."""

	def __init__(self, count: int, seed: int = 1) -> None:
		self._random = random.Random(seed)
		self._lock = threading.RLock()
		self._rows: dict[str, Customer] = {}
		self._deleted: dict[str, Customer] = {}
		self._feed: list[dict[str, Any]] = []
		self._feed_start = 0  # how many changes the feed no longer knows
		self._clock = _START
		self._next = 1
		self.create(count)

	def create(self, count: int = 1) -> list[Customer]:
		"""Make `count` customers with made-up values and return them."""
		with self._lock:
			return [self._create() for _ in range(count)]

	def update(self, count: int = 1) -> list[Customer]:
		"""Change `count` customers at random."""
		with self._lock:
			ids = self._random.sample(sorted(self._rows), min(count, len(self._rows)))
			return [
				self._touch(id, credit_limit=self._credit(), city=self._random.choice(_CITIES)) for id in ids
			]

	def delete(self, count: int = 1) -> list[str]:
		"""Delete `count` customers at random; return their ids."""
		with self._lock:
			ids = self._random.sample(sorted(self._rows), min(count, len(self._rows)))
			for id in ids:
				row = self._rows.pop(id)
				gone = {**row, "deleted": True, "updated_at": self._date(row)}
				self._deleted[id] = gone
				self._record("deleted", gone)
			return ids

	def alive(self) -> list[Customer]:
		"""Return all customers, by id."""
		with self._lock:
			return [dict(self._rows[id]) for id in sorted(self._rows)]

	def get(self, id: str) -> Customer | None:
		"""Return a copy of a customer, deleted or not; None if there never was one."""
		with self._lock:
			row = self._rows.get(id) or self._deleted.get(id)
			return dict(row) if row else None

	def select(self, since: str = "", with_deleted: bool = False) -> Sequence[Customer]:
		"""Return customers changed at or after `since`, oldest change first; all, by id, without it."""
		with self._lock:
			if not since:
				return _Listed(self._rows, sorted(self._rows))
			rows = [*self._rows.values(), *(self._deleted.values() if with_deleted else ())]
			changed = [dict(row) for row in rows if row["updated_at"] >= since]
		return sorted(changed, key=lambda row: (row["updated_at"], row["id"]))

	def changes(self, after: int | None, limit: int) -> tuple[list[dict[str, Any]], int]:
		"""Return up to `limit` entries of the change feed behind number `after`, and the last one's number.

		None for the beginning. Raises LookupError where the feed no longer knows what came after.
		"""
		with self._lock:
			start = self._feed_start if after is None else after
			if not self._feed_start <= start <= self._feed_start + len(self._feed):
				raise LookupError(f"the feed begins at {self._feed_start}")
			entries = self._feed[start - self._feed_start :][:limit]
			return entries, start + len(entries)

	def expire(self) -> None:
		"""Forget the feed: it begins again with every customer there is."""
		with self._lock:
			self._feed_start += len(self._feed)
			self._feed.clear()
			for id in sorted(self._rows):
				self._record("created", self._rows[id])

	def counts(self) -> dict[str, int]:
		"""Return how many customers are alive, how many are deleted, and how many changes the feed has had."""
		with self._lock:
			return {
				"alive": len(self._rows),
				"deleted": len(self._deleted),
				"changes": self._feed_start + len(self._feed),
			}

	@property
	def clock(self) -> datetime:
		"""Return the CRM's time, which changes are dated by; it can be put forward and back, as any clock."""
		return self._clock

	@clock.setter
	def clock(self, moment: datetime) -> None:
		"""Put the CRM's clock forward or back."""
		with self._lock:
			self._clock = moment

	def set(self, id: str, **values: Any) -> Customer:
		"""Change one customer's fields."""
		with self._lock:
			return self._touch(id, **values)

	def _create(self) -> Customer:
		id = f"CUST-{self._next:06d}"
		self._next += 1
		name = f"{self._random.choice(_FIRST)} {self._random.choice(_LAST)}"
		row = {
			"id": id,
			"name": name,
			"email": f"customer{self._next - 1}@example.com",
			"city": self._random.choice(_CITIES),
			"credit_limit": self._credit(),
			"active": self._random.random() < 0.9,
			"deleted": False,
			"created_at": self._clock.isoformat().replace("+00:00", "Z"),
		}
		row["updated_at"] = self._tick()
		self._rows[id] = row
		self._record("created", row)
		return dict(row)

	def _touch(self, id: str, **values: Any) -> Customer:
		row = self._rows[id]
		row.update(values, updated_at=self._date(row))
		self._record("updated", row)
		return dict(row)

	def _record(self, kind: str, row: Customer) -> None:
		number = self._feed_start + len(self._feed) + 1
		self._feed.append({"number": number, "type": kind, "id": row["id"], "record": dict(row)})

	def _credit(self) -> float:
		return round(self._random.uniform(0, 50_000), 2)

	def _date(self, row: Customer) -> str:
		"""Return the time by which a change of a row is dated."""
		return self._tick()

	def _tick(self) -> str:
		"""Move the CRM's clock; sometimes it stands, so that several changes share a time."""
		self._clock += timedelta(milliseconds=self._random.choice((0, 0, 1, 250, 1000)))
		return self._clock.isoformat(timespec="microseconds").replace("+00:00", "Z")


class _Listed(Sequence[Customer]):
	"""All customers by id, of which only those that are looked at are copied: a page costs what a page holds."""

	def __init__(self, rows: dict[str, Customer], ids: list[str]) -> None:
		self._rows, self._ids = rows, ids

	def __len__(self) -> int:
		return len(self._ids)

	def __getitem__(self, place: Any) -> Any:
		if isinstance(place, slice):
			found = (self._rows.get(id) for id in self._ids[place])
			return [dict(row) for row in found if row]  # another thread may have deleted it meanwhile
		return dict(self._rows[self._ids[place]])
