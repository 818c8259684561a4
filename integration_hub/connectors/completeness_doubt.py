"""The doubt about a list's end, which comes with its last page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Doubt:
	"""A reason why a list is not known to be complete: the sign that was seen, and the setting to look at."""

	sign: str
	setting: str = ""

	def __str__(self) -> str:
		look = f" Check {self.setting}." if self.setting else ""
		return f"The list is not known to be complete: {self.sign}.{look}"
