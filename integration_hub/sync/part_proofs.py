"""Lists of many that were proven whole in a run: what they no longer hold is gone, whatever became of the others.

A list proves it that came as one page, or whose pages are stable; another one that was whole at both passes. What is gone
is noted on the bindings, some lists at a time, for a stream may have more of them than memory should hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from integration_hub.connectors.completeness_doubt import Doubt
from integration_hub.connectors.pages import Page

_MOST_HELD = 1000  # lists that are held before what is gone of them is noted


@dataclass
class PartProofs:
	"""The lists of a run so far. stable: does no change move records between pages? note: notes what is gone of lists."""

	stable: bool = False
	note: Callable[[list[str]], None] = lambda parts: None
	whole: list[str] = field(default_factory=list)
	once: list[str] = field(default_factory=list)
	failed: int = 0  # lists that could not be fetched
	error: Exception | None = None  # of the first of them
	any_proven: bool = False
	doubt: Doubt | None = None  # the first that one of the lists, or its failure, left
	_pages: int = 0
	_part: str = ""
	_goes_on: bool = False  # is the next page in the middle of a list?

	def see(self, page: Page, again: bool = False) -> None:
		"""Take the next page into account. again: it is of the second pass."""
		self._pages = self._pages + 1 if page.part == self._part or self._goes_on else 1
		self._part, self._goes_on = page.part, False
		self.doubt = self.doubt or page.doubt
		if page.failure:
			self.failed, self.error = self.failed + 1, self.error or page.failure
		if page.part_ends:
			self._end(page.part, again)
			self._pages = 0

	def _end(self, part: str, again: bool) -> None:
		if self.stable or self._pages == 1 or (again and part in self.once):
			self.whole.append(part)
			self.any_proven = True
		elif not again and len(self.once) < _MOST_HELD:
			self.once.append(part)
		if len(self.whole) >= _MOST_HELD:
			self.flush()

	def flush(self) -> None:
		"""Note what is gone of the lists that are held."""
		if self.whole:
			self.note(self.whole)
			self.whole = []

	def keep(self) -> dict[str, Any]:
		"""Return what a later run goes on with."""
		doubt = [self.doubt.sign, self.doubt.setting] if self.doubt else None
		kept = {"whole": self.whole, "once": self.once, "failed": self.failed, "any": self.any_proven}
		return {**kept, "doubt": doubt}

	def go_on(self, kept: dict[str, Any]) -> None:
		"""Go on with what an earlier run kept."""
		self.whole, self.once = _texts(kept.get("whole")), _texts(kept.get("once"))
		self.failed, self.any_proven = int(kept.get("failed") or 0), bool(kept.get("any"))
		self.doubt = Doubt(*_texts(kept["doubt"])) if kept.get("doubt") else None
		self._pages, self._goes_on = 1, True


def _texts(values: Iterable[Any] | None) -> list[str]:
	return [str(value) for value in values or ()]
