"""When a failed request is sent again, and after how long: a policy is a value."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConnectorError, RetryLater

T = TypeVar("T")

_LONGEST = 7 * 24 * 3600.0  # who asks to be left alone for years is asked again after a week
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, 9.2.2


@dataclass(frozen=True)
class RetryPolicy:
	"""Exponential backoff with full jitter, never below what the server asked for.

	attempts: tries in all. minimum, maximum: bounds of the backoff in seconds.
	max_wait: the longest pause a worker sleeps through; beyond it RetryLater leaves `run`.
	"""

	attempts: int = 5
	minimum: float = 2.0
	maximum: float = 60.0
	max_wait: float = 120.0
	sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

	@classmethod
	def of(cls, config: IntegrationConfig) -> RetryPolicy:
		return cls(config.max_attempts, config.backoff_min, config.backoff_max, config.max_wait)

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
			stop=stop_after_attempt(self.attempts),
			wait=wait,
			retry=retry_if_exception(lambda error: is_retryable(error, idempotent)),
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


def is_retryable(error: BaseException, idempotent: bool) -> bool:
	"""Tell whether repeating a request that ended in `error` is safe and may help."""
	rule = getattr(error, "retry", "never")
	return rule == "always" or (rule == "if idempotent" and idempotent)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
	"""Read a Retry-After header (RFC 9110, 10.2.3): seconds or an HTTP-date.

	Returns seconds from `now`, never negative and no more than a week; None where the header is missing or
	unreadable.
	"""
	if not value:
		return None
	value = value.strip()
	if value.isascii() and value.isdigit():
		return min(float(value[:9]), _LONGEST)
	try:
		moment = parsedate_to_datetime(value)
	except (TypeError, ValueError, IndexError, OverflowError):
		return None
	if moment.tzinfo is None:
		moment = moment.replace(tzinfo=timezone.utc)
	seconds = (moment - (now or datetime.now(timezone.utc))).total_seconds()
	return min(max(seconds, 0.0), _LONGEST)


def _later(error: ConnectorError, seconds: float) -> RetryLater:
	return RetryLater(seconds, method=error.method, url=error.url, status=error.status)
