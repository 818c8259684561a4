"""Deletion: what becomes of documents whose record is gone from the source, and when that is believed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from integration_hub.connectors.redact import Redactor
from integration_hub.stores import bindings
from integration_hub.stores.bindings import Binding
from integration_hub.stores.database import LONG_ENOUGH, chunks, in_transaction
from integration_hub.stores.error_log import record_error
from integration_hub.stores.runs import Counts, Run, advance
from integration_hub.stores.runtime import CancelledDocument, Change, Foreseen, LeftAsItIs, Runtime, Target
from integration_hub.stores.seen_marks import begun
from integration_hub.sync.config import StreamConfig

_MOST_AT_ONCE = 1000  # documents that go without a person's approval, however small their share
_BATCH = {"Documents": 100, "Bulk": 1000}  # documents a transaction, at most


def remove_documents(
	runtime: Runtime, stream: StreamConfig, target: Target, found: Sequence[Binding]
) -> dict[str, Exception]:
	"""Apply the stream's deletion policy to bindings; return what kept documents from going, by binding name.

	A document that was adopted is never deleted or cancelled: this stream did not make it. One that was cancelled cannot
	be disabled, one with others behind it cannot be cancelled: its binding counts as deleted, and the caller says so.
	"""
	acted = [binding for binding in found if binding.target_name]
	errors: dict[str, Exception] = {}
	if stream.deletion_policy == "Disable":
		names = [str(binding.target_name) for binding in acted]
		errors = target.set_value(names, stream.disable_field, stream.disable_value)
	elif stream.deletion_policy == "Delete":
		errors = target.delete([str(binding.target_name) for binding in acted if not binding.adopted])
	elif stream.deletion_policy == "Cancel":
		errors = target.cancel([str(binding.target_name) for binding in acted if not binding.adopted])
	kept = {binding.name: errors[binding.target_name] for binding in acted if binding.target_name in errors}
	for binding in found:
		if not kept.get(binding.name) or isinstance(kept[binding.name], LeftAsItIs):
			if _is_forgotten(stream, binding):
				binding.target_name = None
			binding.status, binding.content_hash = "Deleted", ""
	return kept


def foresee_removals(
	target: Target, stream: StreamConfig, found: Sequence[Binding], user: str
) -> dict[str, Foreseen]:
	"""Return what would keep documents from going, by external id, and remove nothing; see remove_documents."""
	acted = {str(binding.target_name): binding.external_id for binding in found if binding.target_name}
	if stream.deletion_policy == "Delete":
		own = [str(binding.target_name) for binding in found if binding.target_name and not binding.adopted]
		kept = target.foresee_removal(own, user) if own else {}
	elif stream.deletion_policy == "Disable":
		kept = _foresee_disabling(target, stream, list(acted), user)
	else:
		return {}
	return {acted[name]: one for name, one in kept.items()}


def _foresee_disabling(
	target: Target, stream: StreamConfig, names: Sequence[str], user: str
) -> dict[str, Foreseen]:
	changes = [Change(name, name, {stream.disable_field: stream.disable_value}) for name in names]
	foreseen = target.foresee(changes, target, user) if changes else []
	return {name: one for name, one in zip(names, foreseen, strict=True) if one.error}


def is_quiet(stream: StreamConfig, error: Exception) -> bool:
	"""Tell whether a document that is left as it is is nothing to report: it was cancelled, and the stream says so."""
	return isinstance(error, CancelledDocument) and stream.cancelled_documents == "Leave"


def _is_forgotten(stream: StreamConfig, binding: Binding) -> bool:
	return stream.deletion_policy == "Delete" and not binding.adopted


def needs_approval(stream: StreamConfig, gone: int, live: int) -> bool:
	"""Tell whether removing `gone` of `live` documents is more than a run may do by itself.

	It is where both limits of the stream are passed: a share of a small table, a number of a large one. And beyond
	a thousand always, however large the table, unless the stream's own limit is higher.
	"""
	if gone > max(stream.max_delete_count, _MOST_AT_ONCE):
		return True
	return gone > stream.max_delete_count and gone * 100 > live * stream.max_delete_percent


def remove_orphans(
	runtime: Runtime, stream: StreamConfig, run: Run, redactor: Redactor, absent: bool = False
) -> None:
	"""Remove the documents that a complete full run did not see, or hold them for approval if they are many.

	absent: only those of lists that were whole, of the many that a stream has.
	"""
	gone = bindings.count_live(runtime.db, stream.name, run.mark.number, absent)
	if not gone:
		return
	before = (
		run.counts.deleted + run.counts.to_delete
	)  # removals of records that the source itself has marked as deleted
	live = bindings.count_live(runtime.db, stream.name) + run.counts.deleted
	if needs_approval(stream, before + gone, live):
		run.counts.add(in_transaction(runtime.db, lambda: _hold(runtime, stream, run, absent)))
		return
	_remove_all(runtime, stream, run, redactor, run.mark.by, *bindings.unseen(run.mark.number, absent))


def _hold(runtime: Runtime, stream: StreamConfig, run: Run, absent: bool = False) -> Counts:
	"""Have what a run did not see wait for approval; return what that adds to its counts: as much as waits then."""
	held = bindings.mark_missing(runtime.db, stream.name, run.name, run.mark.number, absent)
	added = Counts(to_delete=held - run.counts.to_delete)
	advance(runtime, run, added, pages=0)
	return added


def remove_approved(
	runtime: Runtime, stream: StreamConfig, run: Run, held_by: str, redactor: Redactor
) -> None:
	"""Remove what run `held_by` held back and no later run saw again."""
	_remove_all(runtime, stream, run, redactor, held_by, "`missing_run` = %s", [held_by])


def _remove_all(
	runtime: Runtime,
	stream: StreamConfig,
	run: Run,
	redactor: Redactor,
	gone_since: str,
	where: str,
	params: Sequence[object],
) -> None:
	target = runtime.target(stream.target_doctype, stream.write_mode)
	condition = f"{bindings.LIVE} AND {where}"
	last, kept = "", 0
	while True:
		# Read where it is written: what an event has brought back since the last batch no longer fits.
		def remove(last: str = last) -> tuple[Counts, str]:
			size = _BATCH[stream.write_mode]
			batch = bindings.after(runtime.db, stream.name, condition, params, last, size)
			bindings.hold(runtime.db, batch)
			counts, last, until = Counts(), "", time.monotonic() + LONG_ENOUGH
			for part in chunks(batch, target.at_once):
				if last and time.monotonic() >= until:
					break
				counts.add(_remove_batch(runtime, stream, target, run, redactor, gone_since, part))
				last = part[-1].name
			advance(runtime, run, counts)
			return counts, last

		counts, last = in_transaction(runtime.db, remove)
		run.counts.add(counts)
		kept += counts.failed
		if not last:
			break
		runtime.progress(run)
	if kept:
		note = f"{kept} documents could not be deleted; their External Records say why."
		run.note = f"{run.note} {note}".strip()


def _remove_batch(
	runtime: Runtime,
	stream: StreamConfig,
	target: Target,
	run: Run,
	redactor: Redactor,
	gone_since: str,
	batch: Sequence[Binding],
) -> Counts:
	"""Remove a batch. gone_since: the run that found it gone; an event of before it comes too late."""
	forgotten = {binding.name for binding in batch if _is_forgotten(stream, binding)}
	errors = remove_documents(runtime, stream, target, batch)
	settled = {name for name, error in errors.items() if isinstance(error, LeftAsItIs)}
	quiet = {name for name in settled if is_quiet(stream, errors[name])}
	gone = [binding.name for binding in batch if binding.name not in errors or binding.name in settled]
	for forget in (True, False):
		if names := [name for name in gone if (name in forgotten) is forget]:
			bindings.mark_deleted(runtime, names, forget, run.name, begun(gone_since))
	for binding in batch:
		if error := errors.get(binding.name):
			bindings.mark_kept(runtime.db, binding.name, redactor.text(error, 500))
			if binding.name not in quiet:
				_log(runtime, stream, run, redactor, binding, error)
	return Counts(deleted=len(gone) - len(settled), failed=len(errors) - len(quiet))


def _log(
	runtime: Runtime, stream: StreamConfig, run: Run, redactor: Redactor, binding: Binding, error: Exception
) -> None:
	record_error(
		runtime,
		error,
		operation="Delete",
		integration=stream.integration,
		redactor=redactor,
		stream=stream.name,
		sync_log=run.name,
		external_id=binding.external_id[:500],
	)
