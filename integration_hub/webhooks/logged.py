"""The boundary of a request, and of the threads that serve requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from integration_hub.terminal_text import logger_of

logger = logger_of("integration_hub.webhooks")


@contextmanager
def logged(message: str, *values: object) -> Iterator[None]:
	"""Log what a block fails with, and go on: an answer is due, or others are to be served.

	message, values: of the line of the log, as `logging` takes them.
	"""
	try:
		yield
	except Exception:  # the boundary of a request or of a serving thread
		logger.exception(message, *values)
