"""Dry run of a delivery: the record that would be sent now, beside the one that was sent last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from integration_hub.outbound.config import load_outbound
from integration_hub.outbound.decide import Decider, End, Memory
from integration_hub.outbound.rendering import RenderError, Unbound
from integration_hub.outbound.steps import NoValue, Step
from integration_hub.stores import deliveries, sent_records
from integration_hub.stores.runtime import HubError, Runtime


@dataclass
class Preview:
	"""The next request of a delivery. does: in a sentence. last, now: the mapped document when sent last, and now."""

	delivery: str
	does: str
	request: dict[str, Any] = field(default_factory=dict)
	last: dict[str, Any] = field(default_factory=dict)
	now: dict[str, Any] = field(default_factory=dict)

	def as_dict(self) -> dict[str, Any]:
		"""Return it as JSON-like values, with the fields that differ."""
		names = [*self.last, *(name for name in self.now if name not in self.last)]
		differ = [name for name in names if self.last.get(name) != self.now.get(name)]
		return {**asdict(self), "changed": differ}


def preview_delivery(runtime: Runtime, name: str) -> Preview:
	"""Return what sending a delivery again would begin with; writes and sends nothing. Raises HubError."""
	found = deliveries.load(runtime, [name])
	if not found:
		raise HubError("does not exist", doctype=deliveries.DOCTYPE, name=name)
	row, memory = found[0], Memory()
	stream = load_outbound(runtime, row["stream"])
	last = sent_records.records_of(runtime, stream.name, row["document"])
	preview = Preview(name, "", last=json.loads((last and last[0]["sent_payload"]) or "{}"))
	try:
		with runtime.db.transaction():
			step = Decider(runtime, stream).next(row, memory)
			raise _Undone(step)
	except _Undone as undone:
		_say(preview, undone.step)
	except (RenderError, NoValue, Unbound) as error:
		preview.does = f"It would not be sent: {error}"
	if memory.rendered:
		preview.now = memory.rendered.payload
	return preview


class _Undone(Exception):
	"""Carries a decision out of the transaction that is not to be committed."""

	def __init__(self, step: Step | End) -> None:
		self.step = step
		super().__init__()


def _say(preview: Preview, step: Step | End) -> None:
	if isinstance(step, End):
		preview.does = f"Nothing would be sent: {step.status}. {step.error}".strip()
		return
	preview.does = f"It would {step.kind}: {step.method} {step.path}"
	preview.request = step.shown
