"""Lists that a source shows only the beginning of: behind so many records the query begins again at the last one's key.

Many systems page through the first 10,000 matches and no further. The part behind them is asked for by the key that the
list is in order of: an id, or the time of change. Records whose key is that of the boundary come twice and are dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, search
from integration_hub.connectors.errors import ConnectorError, MalformedAnswer
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.lazy_messages import _
from integration_hub.stores.ids import content_hash

Fetch = Callable[[ListRequest], Iterator[Page]]
Key = str | int | float


@dataclass(frozen=True)
class Restarts:
	"""A way to begin again.

	path: of the key in a record. is_id: has each record a key of its own? records, pages, statuses: behind how many of
	them (0 for any number), or by which refusal, the list has to begin again. time: reads the key as UTC text where it
	is sent as `{since}`; else it is `{last_key}`. check: raises MalformedAnswer for a key that must not be kept.
	"""

	path: str
	is_id: bool = False
	records: int = 0
	pages: int = 0
	statuses: tuple[int, ...] = ()
	time: Callable[[Any], str] | None = None
	check: Callable[[str], None] = lambda key: None

	def key_of(self, record: Mapping[str, Any]) -> Key:
		"""Return the key of a record. Raises MalformedAnswer where it has none."""
		try:
			found = search(self.path, record)
			if isinstance(found, bool) or not isinstance(found, str | int | float) or found == "":
				raise MalformedAnswer(_("restart_key {0}: a record has no key there.", self.path))
			self.check(str(found))
			return self.time(found) if self.time else found
		except (PathError, ValueError) as error:
			raise MalformedAnswer(_("restart_key {0}: {1}.", self.path, str(error))) from None

	def asked(self, request: ListRequest, part: _Part) -> ListRequest:
		"""Return the request for a part of the list."""
		inner = replace(request, state=part.inner, passed=(part.pages, part.records))
		if part.start is None:
			return inner
		if self.time:
			return replace(inner, since=str(part.start))
		return replace(inner, values={**request.values, "last_key": part.start})


@dataclass
class _Part:
	"""A part of a list, between two beginnings, as far as it was fetched; it is what a fetch is resumed by.

	start: the key that it began at, None for the first. inner: the paginator's state. before, last: the last two keys that
	differ. met_start: did the source send the key again that it began at? order: 1 where keys rise, -1 where they
	fall, 0 while that is not known. pages, records: of this part.
	"""

	start: Key | None = None
	inner: str = ""
	before: Key | None = None
	last: Key | None = None
	met_start: bool = False
	order: int = 0
	pages: int = 0
	records: int = 0

	@classmethod
	def read(cls, state: str) -> _Part:
		"""Read where a fetch left off. Raises MalformedAnswer for a state that is none."""
		try:
			return cls(**(json.loads(state) if state else {}))
		except (ValueError, TypeError):
			raise MalformedAnswer(_("The place to resume at cannot be read.")) from None

	def see(self, key: Key, path: str) -> None:
		"""Take the next record's key into account. Raises MalformedAnswer where the list is not in order of its keys."""
		self.records += 1
		self.met_start = self.met_start or key == self.start
		if key == self.last:
			return
		if self.last is not None:
			order = _order(self.last, key)
			if order and self.order and order != self.order:
				said = (path, repr(key), repr(self.last))
				raise MalformedAnswer(
					_("restart_key {0}: the list is not in order of it; {1} follows {2}.", *said)
				)
			self.order = order or self.order
		self.before, self.last = self.last, key

	def next(self, rule: Restarts) -> _Part:
		"""Return the part behind this one. Raises MalformedAnswer where no key leads on.

		A key that several records have may be that of others behind the end, too. A source that sends what is exactly at
		the key sends them again; another is asked from the key before on.
		"""
		key = self.last if rule.is_id or self.met_start or self.records == 1 else self.before
		stays = key is None or key == self.start
		if stays or (rule.time and self.order < 0) or (self.start is not None and self._turns(key)):
			raise MalformedAnswer(
				_(
					"restart_key {0} does not move on: {1} records came from {2} to {3}. More records have the "
					"same key than come at a time, or the list is not in order of it.",
					rule.path,
					self.records,
					repr(self.start),
					repr(self.last),
				)
			)
		return _Part(key, order=self.order)

	def _turns(self, key: Key) -> bool:
		order = _order(self.start, key)
		return bool(order and self.order and order != self.order)


def _order(one: Key, other: Key) -> int:
	"""Return 1 if a key is before another, -1 if behind it, 0 where only the source knows: it may sort text in any way."""
	numbers = [_number(key) for key in (one, other)]
	if None not in numbers:
		return (numbers[0] < numbers[1]) - (numbers[0] > numbers[1])
	both = (str(one), str(other))
	if all(
		text[:4].isdigit() and text[4:5] == "-" for text in both
	):  # times, alike as one source writes them
		return (both[0] < both[1]) - (both[0] > both[1])
	return 0


def _number(key: Key) -> float | None:
	if isinstance(key, str):
		return int(key) if key.isascii() and key.isdigit() else None
	return key


@dataclass
class _Edge:
	"""The records at the last keys, by hash: what comes again behind a beginning is one of them."""

	keys: tuple[Key | None, Key | None] = (None, None)
	hashes: list[tuple[Key, str]] = field(default_factory=list)
	came: frozenset[str] = frozenset()

	def fresh(self, records: Sequence[dict[str, Any]], keys: Sequence[Key]) -> list[dict[str, Any]]:
		"""Return the records that did not come at the end of the part before; note them."""
		found = []
		for record, key in zip(records, keys, strict=True):
			mark = content_hash(record)
			if key not in self.keys:
				self.keys = (self.keys[1], key)
				self.hashes = [(known, held) for known, held in self.hashes if known in self.keys]
			self.hashes.append((key, mark))
			if mark not in self.came:
				found.append(record)
		return found

	def begin(self) -> None:
		"""Begin the next part: what came at the last keys may come again."""
		self.came = frozenset(mark for _key, mark in self.hashes)


def restarting(fetch: Fetch, request: ListRequest, rule: Restarts) -> Iterator[Page]:
	"""Fetch a list part by part. Raises ConnectorError, as `fetch` does, and MalformedAnswer where no key leads on."""
	part, edge = _Part.read(request.state), _Edge()
	while True:
		begun = part
		with closing(fetch(rule.asked(request, part))) as pages:
			try:
				for page in pages:
					keys = [rule.key_of(record) for record in page.records]
					for key in keys:
						part.see(key, rule.path)
					part.pages, part.inner = part.pages + 1, page.state
					if is_full := _is_full(part, rule):
						part = part.next(rule)
					yield _page(page, edge.fresh(page.records, keys), part, is_full)
					if is_full:
						break
					if page.last:
						return
			except ConnectorError as error:
				if not (error.status in rule.statuses and part.records):
					raise
				part = part.next(rule)
		if part is begun:
			return  # the source stopped without a last page, which proves nothing
		edge.begin()


def _is_full(part: _Part, rule: Restarts) -> bool:
	return bool((rule.records and part.records >= rule.records) or (rule.pages and part.pages >= rule.pages))


def _page(page: Page, records: list[dict[str, Any]], part: _Part, is_full: bool) -> Page:
	"""Return a page whose state leads back into its part; behind a full part another one follows."""
	doubt = None if is_full else page.doubt
	state = json.dumps(asdict(part))
	return replace(page, records=records, state=state, last=page.last and not is_full, doubt=doubt)
