"""Retries of events whose handler failed: the attempts, the pauses between them, and the moment an event is Dead."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.lazy_messages import _
from integration_hub.stores.ids import made_at

MAX_ATTEMPTS = 8
LONGEST_PAUSE = 8 * 3600.0
_FIRST_PAUSE = 30.0
_MOST_PAUSES = 50
_PAUSE = re.compile(r"(\d{1,6})(s|m|h|)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class EventRetries:
	"""The schedule of an integration's retries. pauses: in seconds, the last one repeats; empty for the usual ones.

	dead_after: seconds after an event was received from which on a failure is its last, 0 for never.
	"""

	attempts: int = MAX_ATTEMPTS
	pauses: tuple[float, ...] = ()
	dead_after: float = 0.0

	@classmethod
	def of(cls, config: IntegrationConfig) -> EventRetries:
		"""Return an integration's schedule; what of it cannot be read is the usual one."""
		pauses = (
			() if pauses_problem(config.event_retry_pauses) else tuple(_pauses(config.event_retry_pauses))
		)
		return cls(config.event_attempts or MAX_ATTEMPTS, pauses, config.event_dead_hours * 3600)

	def delay(self, attempts: int, name: str) -> float | None:
		"""Return the pause in seconds after so many failed attempts of an event, None if it is Dead."""
		if attempts >= self.attempts:
			return None
		left = self._left(name)
		if left <= 0 and attempts > 1:  # an old one that is replayed is tried twice at least
			return None
		pause = self._pause(attempts) * random.uniform(0.8, 1.0)
		return min(pause, left) if left > 0 else pause

	def _pause(self, attempts: int) -> float:
		if self.pauses:
			return self.pauses[min(attempts, len(self.pauses)) - 1]
		return min(_FIRST_PAUSE * 4 ** min(attempts - 1, 20), LONGEST_PAUSE)

	def _left(self, name: str) -> float:
		"""Return the seconds until an event is given up."""
		try:
			return made_at(name) + self.dead_after - time.time() if self.dead_after else LONGEST_PAUSE
		except ValueError:  # a name that is not ours
			return LONGEST_PAUSE


def pauses_problem(text: str) -> str | None:
	"""Return why pauses cannot be read, None if they can."""
	parts = _parts(text)
	wrong = next((part for part in parts if not _PAUSE.fullmatch(part)), None)
	if wrong is not None:
		return _("{0!r} is not a pause like 30s, 10m or 2h", wrong)
	if len(parts) > _MOST_PAUSES:
		return _("lists more than {0} pauses", _MOST_PAUSES)
	if not all(1 <= pause <= LONGEST_PAUSE for pause in _pauses(text)):
		return _("has a pause that is shorter than 1 s or longer than 8 h")
	return None


def _parts(text: str) -> list[str]:
	return text.lower().replace(",", " ").split()


def _pauses(text: str) -> Iterator[float]:
	for part in _parts(text):
		if found := _PAUSE.fullmatch(part):
			yield float(int(found[1]) * _UNITS[found[2]])
