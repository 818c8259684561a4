"""Full, incremental, cursor: where a run begins, and where it stands after each page."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.mapping import Mapper, MappingError, parse_time, utc_text


class Full:
	"""Every record; then orphans. Begins anew each time: half a list proves nothing about what is gone."""

	finds_orphans = True
	resumable = True

	def __init__(self, stream: StreamConfig):
		self.stream = stream
		self.resumed = ""  # the paginator's state that a postponed run left
		self.watermark = stream.checkpoint
		self.in_the_future = 0  # source times that no watermark is made of

	def request(self) -> ListRequest:
		"""Return what to ask the source for."""
		return self.stream.list_request(state=self.resumed)

	def after_page(self, page: Page, mapper: Mapper) -> str | None:
		"""Return the checkpoint to commit with the page, None to leave it."""
		return None

	def after_all(self) -> str | None:
		"""Return the checkpoint to commit when the fetch ran to its end, None to leave it."""
		return None


class Incremental(Full):
	"""What changed since the watermark: the greatest source time seen, less an overlap."""

	finds_orphans = False
	resumable = False

	def request(self) -> ListRequest:
		if not self.stream.checkpoint:
			return super().request()
		return self.stream.list_request(state=self.resumed, since=self.since())

	def since(self) -> str:
		"""Return the watermark less the overlap."""
		try:
			moment = parse_time(self.stream.checkpoint) - timedelta(seconds=self.stream.overlap_seconds)
		except OverflowError:
			return self.stream.checkpoint
		return utc_text(moment)

	def after_page(self, page: Page, mapper: Mapper) -> str | None:
		latest = utc_text(datetime.now(timezone.utc) + _FUTURE)
		times = _times(page.records, mapper)
		self.in_the_future += sum(time > latest for time in times)
		self.watermark = max([self.watermark, *(time for time in times if time <= latest)])
		return self.watermark if self.stream.ordered else None

	def after_all(self) -> str | None:
		return self.watermark


class Cursor(Full):
	"""A change feed behind an opaque cursor, which is the checkpoint after each page."""

	finds_orphans = False

	def request(self) -> ListRequest:
		return self.stream.list_request(state=self.stream.checkpoint)

	def after_page(self, page: Page, mapper: Mapper) -> str | None:
		return page.state


# A record dated later than this from now has a wrong clock; as a watermark it would hide every change until then.
_FUTURE = timedelta(days=1)


def mode_of(stream: StreamConfig) -> Full:
	return {"Full": Full, "Incremental": Incremental, "Cursor": Cursor}[stream.mode](stream)


def _times(records: list[dict], mapper: Mapper) -> list[str]:
	times = []
	for record in records:
		try:
			times.append(mapper.source_time(record))
		except MappingError:
			continue  # the record itself is logged as failed and tried again
	return times
