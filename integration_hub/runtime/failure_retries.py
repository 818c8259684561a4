"""The retry of a failure: which events, records or runs it takes to have done what failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration_hub.runtime.monitors import DEAD
from integration_hub.stores import inbox
from integration_hub.stores.bindings import kept_back
from integration_hub.stores.error_log import SYSTEM
from integration_hub.stores.failure_closing import RECORD
from integration_hub.stores.runtime import Runtime

# Asked for by a person, and not done again by a run of the stream: a range of time, and a removal.
_NOT_BY_A_RUN = ("Webhook", "Backfill", "Delete")


@dataclass(frozen=True)
class Retry:
	"""The work that a failure left undone: events to handle, streams to run, the stream whose records it keeps back."""

	events: Sequence[str] = ()
	streams: Sequence[str] = ()
	records: str = ""


def retry_of(
	runtime: Runtime,
	failure: Mapping[str, Any],
	failing: Callable[[str], list[str]],
	may_run: Callable[[str], bool],
) -> Retry:
	"""Return the retry of a failure, an empty one where nothing can be tried again.

	All events that it keeps from being completed; all records that it keeps from being written; else a run of its
	stream; of one that all calls meet, of each stream that fails.

	failure: name, operation, kind, stream, about, integration. failing: returns those streams of an integration that fail
	and may be run; may_run: tells whether a stream may be.
	"""
	if events := _events(runtime, failure):
		return Retry(events=events)
	if failure["about"] == SYSTEM and (streams := failing(failure["integration"])):
		return Retry(streams=streams)
	stream = failure["stream"]
	if failure["about"] == RECORD and may_run(stream) and kept_back(runtime.db, stream, failure["name"]):
		return Retry(records=stream)
	if stream and failure["operation"] not in _NOT_BY_A_RUN and may_run(stream):
		return Retry(streams=[stream])
	return Retry()


def _events(runtime: Runtime, failure: Mapping[str, Any]) -> list[str]:
	"""Return the events that a failure keeps from being completed."""
	if failure["kind"] == DEAD:
		return inbox.select(runtime, integration=failure["integration"], statuses=("Dead",))
	if failure["operation"] != "Webhook":
		return []
	statuses, name = ("Failed", "Dead"), failure["name"]
	return inbox.select(runtime, integration=failure["integration"], statuses=statuses, error_log=name)
