"""State of a document after it is written: it stays a draft, is submitted, or is cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from integration_hub.lazy_messages import _
from integration_hub.sync.config import StreamConfig

DRAFT, SUBMITTED = "Leave as Draft", "Submit"
AFTER_WRITING = (DRAFT, SUBMITTED)
FAIL, FAIL_ONCE, COMMENT, AMEND = "Fail", "Fail Once", "Comment and Leave", "Amend"
ON_SUBMITTED = (FAIL, FAIL_ONCE, COMMENT, AMEND)


NO_DOCUMENTS = _(
	"is only for documents of a Frappe site: rows are not submitted, not cancelled, and not made from others"
)


def after_writing_problems(
	stream: StreamConfig, submit_problem: Callable[[str], str] | None = None
) -> Iterator[tuple[str, str]]:
	"""Return what is wrong with these settings of a stream, as (field, sentence).

	submit_problem: says why documents of a DocType cannot be submitted, "" if they can; None if there is no DocType.
	"""
	for field, known in (("after_writing", AFTER_WRITING), ("submitted_documents", ON_SUBMITTED)):
		if getattr(stream, field) not in known:
			yield field, _("{0!r} is not one of {1}", getattr(stream, field), ", ".join(known))
	if stream.submit_when and stream.after_writing != SUBMITTED:
		yield "submit_when", _("has no use where After Writing is not Submit")
	if used := used_setting(stream):
		if stream.write_mode == "Bulk":
			yield used, _("is not for Bulk, which writes rows and submits none")
		elif submit_problem and (problem := submit_problem(stream.target_doctype)):
			yield used, problem


def used_setting(stream: StreamConfig) -> str:
	"""Return the first setting by which a stream submits or cancels documents, "" if it has none."""
	uses = {
		"after_writing": stream.after_writing == SUBMITTED,
		"cancel_when": bool(stream.cancel_when),
		"submitted_documents": stream.submitted_documents in (COMMENT, AMEND),
		"deletion_policy": stream.deletion_policy == "Cancel",
	}
	return next((field for field, is_used in uses.items() if is_used), "")
