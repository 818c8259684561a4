"""Full, incremental, cursor, backfill: where a run begins, and where it stands after each page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from integration_hub.connectors.completeness import Doubt
from integration_hub.connectors.errors import ConnectorError
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.lazy_messages import _
from integration_hub.stores.runtime import HubError
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.mapping import FUTURE, Mapper, MappingError
from integration_hub.sync.part_proofs import PartProofs
from integration_hub.sync.times import parse_time, utc_text


@dataclass(frozen=True)
class Period:
	"""A range of source times, as UTC text, both ends included; `until` is "" for no end."""

	since: str
	until: str = ""

	@classmethod
	def read(cls, since: str, until: str = "") -> Period:
		"""Read two ISO 8601 times; a bare date as `until` is the whole day. Raises HubError."""
		try:
			first, last = utc_text(parse_time(since)), ""
			if until.strip():
				day = timedelta(days=1, microseconds=-1) if len(until.strip()) == 10 else timedelta()
				last = utc_text(parse_time(until) + day)
		except (ValueError, OverflowError) as error:
			raise HubError(str(error), field="period") from None
		if last and last < first:
			raise HubError(_("{0} is before {1}", until, since), field="period")
		return cls(first, last)

	def __str__(self) -> str:
		return f"{self.since} – {self.until or '…'}"

	@classmethod
	def parse(cls, text: str) -> Period:
		"""Read what `str` made of a period, as a Sync Log keeps it. Raises HubError."""
		since, _, until = text.partition(" – ")
		return cls.read(since, "" if until == "…" else until)


class Full:
	"""Every record; then orphans. Begins again each time: half a list proves nothing about what is gone."""

	name = "Full"
	scheduled = True  # does its end count as the stream's own?
	resumable = True
	retries_failed = False  # it fetches them again by itself
	whole = True  # does it fetch everything the source has?
	stable = False  # does a record that stays in the source stay on its page? Set by the run
	again = False  # is this the second pass at the list?

	def __init__(self, stream: StreamConfig) -> None:
		self.stream = stream
		self.met = 0  # records of the stream's on the first page that has any: the source is not empty
		self.pages_read = 0  # pages of the list
		self.passed = (0, 0)  # pages and records of the fetch that goes on: the first, or the second pass
		self.doubt: Doubt | None = None  # why what was fetched is not known to be the whole list
		self.went_on = False  # does it go on where an earlier run left off?
		self.resumed = ""  # the paginator's state that a postponed run left
		self.watermark = stream.checkpoint
		self.reached = ""  # the end of the last window of time that was whole, "" before there is one
		self.parts = PartProofs()  # of a stream of many lists
		self.in_the_future = 0  # source times that no watermark is made of

	@property
	def finds_orphans(self) -> bool:
		"""Tell whether records that the list did not hold count as gone from the source."""
		# Windows of time show what changed within them: what is older, or dated in the future, is in none of them.
		return self.whole and not self.stream.window

	@property
	def proves_parts(self) -> bool:
		"""Tell whether a list of many, of which each was asked for as a whole, proves what is gone of it."""
		return self.scheduled and not self.stream.window and self.asks_whole_parts

	@property
	def asks_whole_parts(self) -> bool:
		"""Tell whether each list is asked for as a whole, and not for what changed in it."""
		return self.whole

	@property
	def looks_twice(self) -> bool:
		"""Tell whether a second pass has to confirm the end of the list, since records change during the first."""
		return False

	def request(self) -> ListRequest:
		"""Return what to ask the source for."""
		return self.stream.list_request(state=self.resumed, passed=self.passed)

	def note_page(self, page: Page) -> None:
		"""Note how far the fetch that goes on has come."""
		self.passed = (self.passed[0] + 1, self.passed[1] + len(page.records))
		self.resumed = page.state

	def starts_over(self, error: ConnectorError) -> bool:
		"""Tell whether an error means that the fetch has to begin at the beginning; then it will."""
		return False

	def begin_again(self) -> None:
		"""Have a fetch of everything, which an earlier run has begun, begin at its beginning."""

	def wanted(self, page: Page, mapper: Mapper) -> Page:
		"""Return the page without the records that were not asked for."""
		return page

	def after_page(self, page: Page, mapper: Mapper) -> str | None:
		"""Return the checkpoint to commit with the page, None to leave it."""
		return None

	def after_page_again(self, page: Page) -> str | None:
		"""Return the checkpoint to commit with a page of the second pass, None to leave it."""
		return None

	def after_all(self) -> str | None:
		"""Return the checkpoint to commit when the fetch ran to its end, None to leave it."""
		return None


class Incremental(Full):
	"""Changes since the watermark: the greatest source time seen, less an overlap.

	A record that changes behind the fetch is not met as it is now, and where pages are counted off it moves another
	one from the page to come to the page before, unseen; a later record's time would have the watermark pass both
	for good. So such a list is fetched twice, and the watermark is the first pass's. Only where the source lists by
	time of change, and pages by key, is one fetch enough.

	Without a watermark everything is listed, and seldom what was deleted: what a first load that broke off had
	made, and the source has dropped since, is then found as in a full run.
	"""

	name = "Incremental"
	retries_failed = True

	def __init__(self, stream: StreamConfig) -> None:
		super().__init__(stream)
		self.whole = not stream.checkpoint
		self._windows, self._windows_again = WindowsSoFar(), WindowsSoFar()

	@property
	def asks_whole_parts(self) -> bool:
		"""Tell whether each list is asked for as a whole: it is not where the request says since when."""
		stream = self.stream
		asks_since = stream.changed_since_param or stream.says_since
		return self.whole or (stream.parent_changed_only and not asks_since)

	@property
	def looks_twice(self) -> bool:
		"""Tell whether changes can move records between pages while they are read."""
		return not (self.stream.ordered and self.stable)

	def request(self) -> ListRequest:
		"""Return what to ask for: changes since the watermark, or everything if there is none."""
		if not self.stream.checkpoint:
			return super().request()
		return self.stream.list_request(state=self.resumed, since=self.since(), passed=self.passed)

	def since(self) -> str:
		"""Return the watermark less the overlap."""
		try:
			moment = parse_time(self.stream.checkpoint) - timedelta(seconds=self.stream.overlap_seconds)
		except OverflowError:
			return self.stream.checkpoint
		return utc_text(moment)

	def after_page(self, page: Page, mapper: Mapper) -> str | None:
		"""Raise the watermark to the page's latest source time; return it if the list is in order of time."""
		latest = utc_text(datetime.now(timezone.utc) + FUTURE)
		times = _times(page.records, mapper) if page.times is None else page.times
		self.in_the_future += sum(time > latest for time in times)
		self.watermark = max([self.watermark, *(time for time in times if time <= latest)])
		whole = self._windows.see(page, self.parts.stable) and (self.parts.stable or not self.went_on)
		if whole and not self.parts.doubt:
			return self._within(page.reached)
		return self.watermark if self.stream.ordered and self.stable else None

	def after_page_again(self, page: Page) -> str | None:
		"""Return the watermark as far as the windows of time are whole at both passes."""
		whole = self._windows_again.see(page, stable=True) and not self.parts.doubt
		return self._within(page.reached) if whole else None

	def _within(self, reached: str) -> str:
		"""Return the watermark, no later than the end of what was asked for, no earlier than it is."""
		self.reached = reached
		return max(self.stream.checkpoint, min(self.watermark, reached))

	def after_all(self) -> str | None:
		"""Return the watermark."""
		return self._within(self.reached) if self.reached else self.watermark


class WindowsSoFar:
	"""The windows of time of a first pass: the watermark follows them as long as each one is proven whole by itself."""

	def __init__(self) -> None:
		self._pages, self._whole = 0, True

	def see(self, page: Page, stable: bool) -> bool:
		"""Take the next page into account; tell whether all is known that changed until what it reached."""
		self._pages += 1
		if page.doubt or page.failure:
			self._whole = False
		if not page.reached:
			return False
		self._whole = self._whole and (stable or self._pages == 1)
		self._pages = 0
		return self._whole


class Cursor(Full):
	"""A change feed behind an opaque cursor, which is the checkpoint after each page.

	Without a cursor the feed is fetched from its beginning. Only where the settings say that this lists
	everything the source has does the end of such a fetch prove anything about what is gone.
	"""

	name = "Cursor"
	retries_failed = True

	def __init__(self, stream: StreamConfig) -> None:
		super().__init__(stream)
		self.cursor = stream.checkpoint
		self.whole = not self.cursor

	@property
	def finds_orphans(self) -> bool:
		"""Tell whether the feed began with a list of everything the source has."""
		return self.whole and self.stream.cursor_lists_all

	def request(self) -> ListRequest:
		"""Return what to ask for: changes behind the cursor."""
		return self.stream.list_request(state=self.cursor)

	def starts_over(self, error: ConnectorError) -> bool:
		"""Begin at the start of the feed if the source says that the cursor has expired; tell whether it did."""
		if not self.cursor or error.status != self.stream.expired_status:
			return False
		self.begin_again()
		return True

	def begin_again(self) -> None:
		"""Drop the cursor."""
		self.cursor, self.whole = "", True

	def after_page(self, page: Page, mapper: Mapper) -> str | None:
		"""Return the cursor of the next page."""
		return page.state


class Backfill(Full):
	"""Changes within a range of time, whatever the stream's mode; its checkpoint stays where it is."""

	name = "Backfill"
	scheduled = False
	resumable = False
	whole = False

	def __init__(self, stream: StreamConfig, period: Period) -> None:
		super().__init__(stream)
		self.period = period
		for field in ("updated_at_path", "changed_since_param"):
			if not getattr(stream, field) and not (field == "changed_since_param" and stream.says_since):
				raise HubError(
					_("is needed for a backfill"), doctype="Sync Settings", name=stream.name, field=field
				)
		if stream.mode == "Cursor":
			raise HubError(
				_("a change feed has no period to ask for; reset its checkpoint instead"),
				doctype="Sync Settings",
				name=stream.name,
				field="mode",
			)

	def request(self) -> ListRequest:
		"""Return what to ask for: changes within the period."""
		return self.stream.list_request(since=self.period.since, until=self.period.until)

	def wanted(self, page: Page, mapper: Mapper) -> Page:
		"""Return the page's records of the period: not every source knows an end, and some send their overlap."""
		return replace(page, records=[r for r in page.records if self._within(r, mapper)])

	def _within(self, record: dict, mapper: Mapper) -> bool:
		try:
			time = mapper.source_time(record)
		except MappingError:
			return True  # the record itself is logged as failed
		return not time or (
			time >= self.period.since and not (self.period.until and time > self.period.until)
		)


def mode_of(stream: StreamConfig, period: Period | None = None) -> Full:
	"""Return how a stream is run: in its own mode, or over a period of time. Raises HubError."""
	if period:
		return Backfill(stream, period)
	return {"Full": Full, "Incremental": Incremental, "Cursor": Cursor}[stream.mode](stream)


def _times(records: list[dict], mapper: Mapper) -> list[str]:
	times = []
	for record in records:
		try:
			times.append(mapper.source_time(record))
		except MappingError:
			continue  # the record itself is logged as failed and tried again
	return times
