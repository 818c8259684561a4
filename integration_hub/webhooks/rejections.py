"""Rejected requests, counted by cause and sampled: an attacker fills no table and has nothing written each time.

The first rejection of a cause is written at once, further ones are counted in memory and written together, at
most every WRITE_SECONDS a process: one row of Integration Error Log an integration and cause.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass

from integration_hub.connectors.redact import Redactor
from integration_hub.stores.database import in_transaction
from integration_hub.stores.error_log import record_error
from integration_hub.stores.failure_closing import REJECTED
from integration_hub.stores.runtime import Runtime
from integration_hub.terminal_text import logger_of
from integration_hub.webhooks.bodies import media_type
from integration_hub.webhooks.logged import logged
from integration_hub.webhooks.messages import Request, Response

logger = logger_of("integration_hub.webhooks")

WRITE_SECONDS = 15.0
_MAX_CAUSES = 500


class Rejected(Exception):
	"""A request that was not accepted. `kind` is the reason word it was answered with."""

	def __init__(self, kind: str, sample: str) -> None:
		super().__init__(f"Webhook rejected: {kind}. The last one: {sample}")
		self.kind = self.distinct = (
			kind  # the sample is what the sender chose: one row a cause, whatever it sends
		)


@dataclass
class _Cause:
	pending: int = 0
	next_write: float = 0.0


_causes: dict[tuple[str, str, str], _Cause] = defaultdict(_Cause)
_lock = threading.Lock()


def reject(runtime: Runtime, request: Request, answer: Response, *, known: bool) -> None:
	"""Count a rejection, and write the count if it is time. Nothing is raised: the answer stands.

	known: the integration exists. Names that do not are counted together, there is no end of them.
	"""
	integration = request.integration if known else ""
	count = _due((runtime.identity, integration, answer.reason))
	if not count:
		return
	kind = media_type(request.headers)[:60] or "no media type"
	sample = f"{request.method[:10]}, {len(request.body)} bytes, {kind}"
	error = Rejected(answer.reason, Redactor().text(sample))

	def log() -> None:
		record_error(
			runtime,
			error,
			operation="Webhook",
			integration=integration,
			redactor=Redactor(),
			times=count,
			about=REJECTED,
		)

	with logged("%d rejected webhooks (%s) not counted", count, answer.reason):
		in_transaction(runtime.db, log)


def _due(cause: tuple[str, str, str]) -> int:
	"""Count one; return how many are to be written now, 0 if they can wait."""
	with _lock:
		if len(_causes) > _MAX_CAUSES:
			del _causes[next(iter(_causes))]
		entry = _causes[cause]
		entry.pending += 1
		now = time.monotonic()
		if now < entry.next_write:
			return 0
		count, entry.pending = entry.pending, 0
		entry.next_write = now + WRITE_SECONDS
		return count
