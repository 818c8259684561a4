"""Tables whose rows are work: the inbox and the outbox are claimed, ordered, tried again and swept by the same rules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkTable:
	"""One table of rows that wait, each for one claimant at a time.

	untried, taken: the states of a row that nobody has tried, and of one that somebody has; what has failed is Failed,
	and Dead after the last attempt. columns: what work needs of a row. body: the column that may be large. slot: how the
	names of its claimants' locks begin. lost: what is said of a row whose claimant has died. rows: what people call its rows.
	attempts_setting: the field of Integration Settings that says after how many attempts a row is Dead, "" for none.
	"""

	doctype: str
	untried: str
	taken: str
	columns: tuple[str, ...]
	body: str
	slot: str
	lost: str
	rows: str
	attempts_setting: str = ""

	@property
	def waiting(self) -> str:
		"""Return the states that a claimant takes up when they are due, for an IN clause."""
		return f"('{self.untried}', 'Failed')"


_COMMON = ("name", "integration", "ordering_key", "attempts", "deferrals", "attempts_log", "error_log")

INBOX = WorkTable(
	doctype="Webhook Log",
	untried="Queued",
	taken="Processing",
	columns=(*_COMMON, "event_type", "event_id", "event_time", "unsigned", "headers"),
	body="payload",
	slot="drain",
	lost="The worker that handled the event has died.",
	rows="events",
	attempts_setting="event_attempts",
)
OUTBOX = WorkTable(
	doctype="Delivery Log",
	untried="Pending",
	taken="Sending",
	columns=(*_COMMON, "stream", "reference_doctype", "document", "operation", "external_id", "error"),
	body="payload",
	slot="deliver",
	lost="The worker that sent the delivery has died.",
	rows="deliveries",
)
