"""Retries: when a failed request is sent again, and after how long. A policy is a value."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_after_delay

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConnectorError, RetryLater
from integration_hub.lazy_messages import _

T = TypeVar("T")

_LONGEST = 7 * 24 * 3600.0  # a server that asks for a pause of years is asked again after a week
_DECADES = 30 * 366 * 24 * 3600.0
_NUMBER = re.compile(r"\+?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})")
_PART = re.compile(r"(\d{1,12}(?:\.\d{0,12})?) ?([A-Za-z]{1,12})", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern},? ?){{1,6}}", re.ASCII)
_UNITS = {
	name: seconds
	for names, seconds in (
		("ms msec msecs millisecond milliseconds", 0.001),
		("s sec secs second seconds", 1),
		("m min mins minute minutes", 60),
		("h hr hrs hour hours", 3600),
		("d day days", 86_400),
	)
	for name in names.split()
}
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, 9.2.2


@dataclass(frozen=True)
class RetryPolicy:
	"""Exponential backoff with full jitter, never below what the server asked for.

	attempts: tries in all. minimum, maximum: bounds of the backoff in seconds.
	max_wait: the longest pause a worker sleeps through; beyond it RetryLater leaves `run`.
	within: seconds after which a failed attempt is the last.
	on_pause: called before a pause with a sentence: what failed, and when it is tried again.
	"""

	attempts: int = 5
	minimum: float = 2.0
	maximum: float = 60.0
	max_wait: float = 120.0
	within: float = math.inf
	sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
	on_pause: Callable[[str], None] | None = field(default=None, repr=False)

	@classmethod
	def of(cls, config: IntegrationConfig) -> RetryPolicy:
		"""Return the policy that an integration's settings describe; times are seconds."""
		return cls(config.max_attempts, config.backoff_min, config.backoff_max, config.max_wait)

	def hurried(self, longest: float) -> RetryPolicy:
		"""Return a policy of two attempts at most, and no pause beyond `longest` seconds between them."""
		return replace(
			self,
			attempts=min(self.attempts, 2),
			minimum=min(self.minimum, longest),
			maximum=min(self.maximum, longest),
			max_wait=min(self.max_wait, longest),
		)

	def _backoff(self, attempt: int) -> float:
		"""Return a pause between the minimum and a ceiling that doubles: full jitter keeps callers apart."""
		ceiling = min(self.minimum * 2.0 ** min(attempt, 60), self.maximum)
		return random.uniform(self.minimum, max(ceiling, self.minimum))

	def run(self, send: Callable[[], T], *, idempotent: bool) -> T:
		"""Call `send` until it succeeds; raises its last error, or RetryLater for a long pause."""

		def wait(state: RetryCallState) -> float:
			asked = getattr(state.outcome.exception(), "retry_after", None) or 0.0
			if asked > self.max_wait:
				raise _later(state.outcome.exception(), asked)
			return max(asked, self._backoff(state.attempt_number))

		retrying = Retrying(
			stop=stop_after_attempt(self.attempts) | stop_after_delay(self.within),
			wait=wait,
			retry=retry_if_exception(lambda error: is_retryable(error, idempotent)),
			before_sleep=self._tell,
			sleep=self.sleep,
			reraise=True,
		)
		try:
			return retrying(send)
		except ConnectorError as error:
			# The server named a pause we cannot sleep through, on the last attempt or on the only one.
			if (error.retry_after or 0) > self.max_wait and is_retryable(error, idempotent):
				raise _later(error, error.retry_after) from error
			raise

	def _tell(self, state: RetryCallState) -> None:
		if self.on_pause:
			error, pause = state.outcome.exception(), state.next_action.sleep
			number = state.attempt_number + 1
			self.on_pause(_("{0} Attempt {1} of {2} in {3} s.", error, number, self.attempts, f"{pause:.0f}"))


def is_retryable(error: BaseException, idempotent: bool) -> bool:
	"""Tell whether repeating a request that ended in `error` is safe and may help."""
	rule = getattr(error, "retry", "never")
	return rule == "always" or (rule == "if idempotent" and idempotent)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
	"""Read a Retry-After header (RFC 9110, 10.2.3): seconds or an HTTP-date, and what servers send beside these.

	Returns whole seconds from `now`, rounded up, never negative and no more than a week; None where the header is
	missing or unreadable.
	"""
	seconds = seconds_until(value, now)
	return None if seconds is None else float(math.ceil(min(seconds, _LONGEST)))


def seconds_until(value: str | None, now: datetime | None = None) -> float | None:
	"""Read how long to wait: seconds in any writing, a duration with units, a time in seconds or milliseconds since 1970,
	a date.

	A number is a time where it would be one of these days, give or take some decades; else it is a number of seconds.
	Of several the longest counts. Returns None for what is none of these, and for a negative number.
	"""
	text = (value or "").strip()
	now = now or datetime.now(timezone.utc)
	if not text.isascii() or not text:
		return None
	numbers = [part.strip() for part in text.split(",")]
	if all(_NUMBER.fullmatch(part) for part in numbers):
		return max(_from_number(float(part), now.timestamp()) for part in numbers)
	if (duration := _duration(text)) is not None:
		return duration
	moment = _date(text)
	return None if moment is None else max((moment - now).total_seconds(), 0.0)


def _duration(text: str) -> float | None:
	"""Return the seconds of a duration with units: `1s`, `250 ms`, `6m0s` as Go writes it, `1 minute, 30 seconds`."""
	if not _DURATION.fullmatch(text):
		return None
	parts = [(float(number), _UNITS.get(unit.lower())) for number, unit in _PART.findall(text)]
	if any(unit is None for _, unit in parts):
		return None
	return sum(number * unit for number, unit in parts)


def _from_number(number: float, now: float) -> float:
	for unit in (1, 1000, 1_000_000):
		if abs(number / unit - now) < _DECADES:
			return max(number / unit - now, 0.0)
	return number


def _date(text: str) -> datetime | None:
	"""Return an HTTP-date in one of its three forms, or one of ISO 8601, as a time in UTC if it says no other zone."""
	for read in (
		parsedate_to_datetime,
		lambda text: datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text)),
	):
		try:
			moment = read(text)
			return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
		except (TypeError, ValueError, IndexError, OverflowError):
			continue
	return None


def _later(error: ConnectorError, seconds: float) -> RetryLater:
	return RetryLater(seconds, method=error.method, url=error.url, status=error.status, body=error.body)
