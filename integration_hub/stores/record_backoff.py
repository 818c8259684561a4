"""The backoff of a record that could not be written, and the number of attempts after which it is given up."""

from __future__ import annotations

MOST_ATTEMPTS = 10
FIRST_BACKOFF, LONGEST_BACKOFF = 5 * 60, 24 * 3600  # seconds


def backoff(attempts: int) -> int:
	"""Return the seconds after so many failed attempts: none after the first, then doubled from 5 minutes to a day."""
	return min(FIRST_BACKOFF * 2 ** (attempts - 2), LONGEST_BACKOFF) if attempts > 1 else 0


def is_given_up(attempts: int) -> bool:
	"""Tell whether a record that failed so many times is Dead: only a person has it tried again."""
	return attempts >= MOST_ATTEMPTS
