"""Runs of a stream whose pages a test writes by itself."""

from __future__ import annotations

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.stores.database import in_transaction
from integration_hub.stores.runs import new_mark
from integration_hub.stores.seen_marks import Mark


def begin(runtime: StandaloneRuntime, stream: str) -> Mark:
	"""Return the mark of a run of a stream that begins now."""
	return in_transaction(runtime.db, lambda: new_mark(runtime.db, stream))
