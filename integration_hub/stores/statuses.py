"""The status of a run, a stream and an integration: each follows from what is known of it, in one function.

Pure: the facts are read in stores.status_facts, for both runtimes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from integration_hub.lazy_messages import LazyMessage, _

BROKEN_OFF = ("Failed", "Interrupted")


@dataclass(frozen=True)
class Standing:
	"""A status, and the sentences that say why it is no better; the first is the gravest."""

	status: str
	why: tuple[LazyMessage, ...] = ()


def run_status(fetched: int, deleted: int, failed: int, failed_again: int = 0, waiting: int = 0) -> str:
	"""Return the status of a run that came to its end.

	failed: records that could not be written or removed; failed_again: those of them that earlier runs could not write
	either. waiting: deletions that want approval.
	"""
	if waiting:
		return "Needs Approval"
	if not failed:
		return "Completed"
	new = failed - failed_again
	return "Failed" if new and new >= (fetched or deleted + new) else "Partial"


@dataclass(frozen=True)
class StreamFacts:
	"""The facts that a stream's status follows from.

	last: how its own last run ended, "" if there was none. in_a_row: runs that were broken off since one came to its end.
	failed: records that could not be written. held: documents whose removal waits for a person. open: failures that
	nobody and nothing has settled.
	"""

	running: bool = False
	last: str = ""
	in_a_row: int = 0
	failed: int = 0
	held: int = 0
	open: int = 0


def stream_standing(facts: StreamFacts) -> Standing:
	"""Return the status of a stream: no failure stands behind an OK."""
	why = tuple(_failing(facts))
	held = (
		(_("Documents that wait for approval before they are deleted: {0}.", facts.held),)
		if facts.held
		else ()
	)
	if facts.running:
		return Standing("Running", why + held)
	if why:
		return Standing("Failing", why + held)
	if held:
		return Standing("Needs Approval", held)
	if facts.last == "Postponed":
		return Standing("Waiting", (_("The source asked for a later time, or its requests are paused."),))
	return Standing("OK" if facts.last else "New")


def _failing(facts: StreamFacts) -> Iterator[LazyMessage]:
	if facts.last in BROKEN_OFF and (facts.in_a_row or facts.open):
		ended = {
			"Failed": _("The last run failed."),
			"Interrupted": _("The last run was interrupted."),
		}
		yield ended[facts.last]
		if facts.in_a_row > 1:
			yield _("Failed runs in a row: {0}.", facts.in_a_row)
	if facts.failed:
		yield _("Records that could not be written: {0}.", facts.failed)
	elif facts.last == "Partial" and facts.open:
		yield _("Some records of the last run failed.")


@dataclass(frozen=True)
class QueueFacts:
	"""The state of an integration's queue. error: why it cannot be read. unread: has nobody read it for long?"""

	error: str = ""
	unread: bool = False


@dataclass(frozen=True)
class IntegrationFacts:
	"""The facts that an integration's status follows from.

	used: has anything come of it yet: a call, a run, an event? call_failed: is the latest news of its calls a failure?
	streams, events: how many there are by status; of streams those that are switched on. open: open failures of its
	calls, settings and queue.
	"""

	enabled: bool = True
	used: bool = False
	call_failed: bool = False
	paused: bool = False
	queue: QueueFacts | None = None
	streams: Mapping[str, int] = field(default_factory=dict)
	events: Mapping[str, int] = field(default_factory=dict)
	open: int = 0


def integration_standing(facts: IntegrationFacts) -> Standing:
	"""Return the status of an integration, that of the worst of its parts."""
	if not facts.enabled:
		return Standing("Disabled")
	failing, waiting = tuple(_broken(facts)), tuple(_to_look_at(facts))
	if facts.paused:
		paused = _("Requests are paused after failures.")
		return Standing("Paused", (paused, *failing, *waiting))
	if failing:
		return Standing("Failing", failing + waiting)
	if waiting:
		return Standing("To Look At", waiting)
	return Standing("OK" if facts.used else "New")


def _broken(facts: IntegrationFacts) -> Iterator[LazyMessage]:
	if facts.queue and facts.queue.error:
		yield _("The queue cannot be read: {0}", facts.queue.error)
	elif facts.queue and facts.queue.unread:
		yield _("Nobody reads the queue.")
	if count := facts.streams.get("Failing"):
		yield _("Failing streams: {0}.", count)
	if count := facts.events.get("Dead"):
		yield _("Dead events: {0}.", count)
	if count := facts.events.get("Failed"):
		yield _("Failed events that are tried again: {0}.", count)
	if facts.call_failed:
		yield _("The last request failed.")
	elif facts.open and not (facts.queue and facts.queue.error):
		yield _("Open failures: {0}.", facts.open)


def _to_look_at(facts: IntegrationFacts) -> Iterator[LazyMessage]:
	if count := facts.streams.get("Needs Approval"):
		yield _("Streams whose deletions wait for approval: {0}.", count)
	if count := facts.events.get("Unrouted"):
		yield _("Events without a matching route: {0}.", count)
	if count := facts.events.get("Conflict"):
		yield _("Events in conflict: {0}.", count)
