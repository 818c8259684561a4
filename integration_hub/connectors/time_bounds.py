"""Bounds of time that a request names: in the zone of the source, no finer than it takes, and never too narrow.

A bound that is written less exactly than it is known moves outwards, so that a record comes twice rather than never:
a beginning is rounded down, and in the hour that a clock repeats in autumn it is the earlier of both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_LONGEST_JUMP = timedelta(hours=26)  # of a clock that is set back
PRECISIONS = {
	"": _MICROSECOND,
	"Millisecond": timedelta(milliseconds=1),
	"Second": timedelta(seconds=1),
	"Minute": timedelta(minutes=1),
	"Day": _DAY,
}
_WRITTEN = {"Millisecond": "milliseconds", "Second": "seconds", "Minute": "seconds"}


@dataclass(frozen=True)
class TimeBound:
	"""One bound of a request: a beginning, or an end.

	zone: of the source's times that name none, "" for UTC. precision: the finest that the source takes, one of PRECISIONS.
	exclusive: the source leaves out what changed at the bound itself. given: the bound as text, for sources that take any.
	"""

	moment: datetime
	is_end: bool = False
	zone: str = ""
	precision: str = ""
	exclusive: bool = False
	given: str = ""

	@property
	def text(self) -> str:
		"""Return the bound where no format says how: UTC, or the date in the source's zone for whole days."""
		if self.given and not (self.exclusive or self.precision):
			return self.given
		moment = self.limit(_MICROSECOND, zone_of(self.zone))
		if self.precision == "Day":
			return self.local(moment, zone_of(self.zone)).date().isoformat()
		timespec = _WRITTEN.get(self.precision, "microseconds")
		return f"{moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec=timespec)}Z"

	def limit(self, unit: timedelta, zone: tzinfo) -> datetime:
		"""Return the time to write with a precision of `unit`: rounded, and moved where the source leaves it out.

		zone: in which days begin.
		"""
		unit = max(unit, PRECISIONS[self.precision])
		try:
			return self._limit(unit, zone)
		except OverflowError:
			return self.moment

	def _limit(self, unit: timedelta, zone: tzinfo) -> datetime:
		down = _floor(self.moment, unit, zone)
		if not self.is_end:
			return _moved(down, -unit, zone) if self.exclusive else down
		if not (self.exclusive or self.precision):
			return self.moment
		up = down if down == self.moment else _moved(down, unit, zone)
		return _moved(up, unit, zone) if self.exclusive else up

	def local(self, moment: datetime, zone: tzinfo) -> datetime:
		"""Return a time as a clock of the zone shows it, without an offset, that no later (earlier) change is beyond.

		A clock that is set back shows later times as earlier ones: the bound is what it is set back to, or from.
		"""
		shown = moment.astimezone(zone).replace(tzinfo=None)
		sign = -1 if self.is_end else 1
		there = _offset(moment + sign * _LONGEST_JUMP, zone)
		if sign * (_offset(moment, zone) - there) <= timedelta():
			return shown
		edge = _transition(moment, moment + sign * _LONGEST_JUMP, zone)
		beyond = (edge + there).replace(tzinfo=None)
		return max(shown, beyond) if self.is_end else min(shown, beyond)


def zone_of(name: str) -> tzinfo:
	"""Return a time zone by its name, UTC for ""."""
	return ZoneInfo(name) if name else timezone.utc


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
	return moment.astimezone(zone).utcoffset() or timedelta()


def _transition(near: datetime, far: datetime, zone: tzinfo) -> datetime:
	"""Return when between two times the offset changes to that of `far`, to the second, in UTC."""
	near, far = near.astimezone(timezone.utc), far.astimezone(timezone.utc)
	aim = _offset(far, zone)
	while abs(far - near) > timedelta(seconds=1):
		middle = near + (far - near) / 2
		near, far = (near, middle) if _offset(middle, zone) == aim else (middle, far)
	return max(near, far).replace(microsecond=0)


def _floor(moment: datetime, unit: timedelta, zone: tzinfo) -> datetime:
	if unit >= _DAY:
		local = moment.astimezone(zone)
		return _earlier(local.replace(hour=0, minute=0, second=0, microsecond=0))
	return _EPOCH + (moment - _EPOCH) // unit * unit


def _moved(moment: datetime, by: timedelta, zone: tzinfo) -> datetime:
	"""Return a time moved by a unit; by a day as the calendar of the zone has it."""
	if abs(by) < _DAY:
		return moment + by
	return _earlier(moment.astimezone(zone) + by)


def _earlier(local: datetime) -> datetime:
	return earliest(local).astimezone(timezone.utc)


def earliest(local: datetime) -> datetime:
	"""Return the earlier of the times that a clock's reading may be: it comes twice, or never, where the clock is set."""
	return min(
		(local.replace(fold=fold) for fold in (0, 1)), key=lambda moment: moment.astimezone(timezone.utc)
	)


_SUBSECONDS = {"%3f": PRECISIONS["Millisecond"], "%f": _MICROSECOND}
_DIRECTIVES: tuple[tuple[str, timedelta], ...] = (
	("STXcs", PRECISIONS["Second"]),
	("MR", PRECISIONS["Minute"]),
	("HI", timedelta(hours=1)),
)
_NAMED = {
	"": PRECISIONS["Second"],
	"iso": PRECISIONS["Second"],
	"iso_ms": PRECISIONS["Millisecond"],
	"iso_us": _MICROSECOND,
	"epoch": PRECISIONS["Second"],
	"epoch_ms": PRECISIONS["Millisecond"],
	"epoch_us": _MICROSECOND,
	"date": _DAY,
}


def precision_of(format: str) -> timedelta:
	"""Return how exactly a format of placeholders writes times."""
	if format in _NAMED:
		return _NAMED[format]
	holds: Callable[[str], bool] = lambda letter: f"%{letter}" in format  # noqa: E731
	for part, unit in _SUBSECONDS.items():
		if part in format:
			return unit
	return next((unit for letters, unit in _DIRECTIVES if any(map(holds, letters))), _DAY)


def names_no_zone(format: str) -> bool:
	"""Tell whether what a format of placeholders writes could be of any time zone."""
	return format == "date" or ("%" in format and "%z" not in format and "%Z" not in format)
