"""One fault is one failure: what fails is logged where it belongs, and stops nothing beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from integration_hub.connectors.app_code import attempt
from integration_hub.connectors.secrets import redactor_of_readable
from integration_hub.stores.database import in_transaction
from integration_hub.stores.error_log import record_error
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import note_failure, stream_rows

logger = logging.getLogger("integration_hub")


class Kept:
	"""The outcome of a guarded block. error: what it failed with, as text without secrets, "" if it did not."""

	error = ""


@contextmanager
def isolated(
	runtime: Runtime,
	*,
	operation: str,
	integration: str = "",
	stream: str = "",
	passing: type[Exception] | tuple[()] = (),
) -> Iterator[Kept]:
	"""Keep the failure of a block from what comes after it: it is logged, and not raised.

	passing: a kind of error that is raised all the same.

	Raises it after all where it cannot be logged: then the database is away, for everybody.
	"""
	kept = Kept()
	try:
		yield kept
	except passing:
		raise
	except Exception as error:  # noqa: BLE001 - the boundary of one stream, integration or chore: the next has its turn
		with attempt() as noting:
			kept.error = note_fault(
				runtime, error, operation=operation, integration=integration, stream=stream
			)
		if noting.error:
			logger.error("A failure could not be logged (%s)", type(noting.error).__name__)
			raise error from None


def note_fault(
	runtime: Runtime, error: Exception, *, operation: str, integration: str = "", stream: str = ""
) -> str:
	"""Log a failure outside of any run, in a transaction of its own; return it as text without secrets.

	It stands in the Integration Error Log and, as the last error, on the integration. What cannot be read of the
	integration's secrets, which may be what has failed, is not to be found in a text either.
	"""

	def log() -> str:
		owner = integration or _owner(runtime, stream)
		redactor = redactor_of_readable(runtime.secrets(owner) if owner else None)
		record_error(runtime, error, operation=operation, integration=owner, redactor=redactor, stream=stream)
		text = redactor.text(error, 500) or type(error).__name__
		if owner:
			note_failure(runtime, owner, text)
		return text

	return in_transaction(runtime.db, log)


class ClockAhead(Exception):
	"""A clock that was ahead has written times in the future; they were corrected."""


def note_clock(runtime: Runtime, integration: str, message: str, stream: str = "") -> None:
	"""Say in the Integration Error Log that times lay in the future, and what was done about it."""

	def log() -> None:
		record_error(
			runtime,
			ClockAhead(message),
			operation="Clock",
			integration=integration or _owner(runtime, stream),
			redactor=redactor_of_readable(None),
			stream=stream,
		)

	in_transaction(runtime.db, log)


def _owner(runtime: Runtime, stream: str) -> str:
	rows = stream_rows(runtime.db, "`integration`", "`name` = %s", stream) if stream else []
	return (rows[0]["integration"] or "") if rows else ""


def chore_guard(
	runtime: Runtime, operation: str = "Retention"
) -> Callable[[str], AbstractContextManager[Kept]]:
	"""Return a guard for the parts of a chore: called with the integration that a part is for, "" for none."""
	return lambda integration: isolated(runtime, operation=operation, integration=integration)
