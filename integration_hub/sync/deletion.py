"""What becomes of documents whose record is gone from the source, and when that is believed."""

from __future__ import annotations

from collections.abc import Sequence

from integration_hub.connectors.redact import Redactor
from integration_hub.stores import bindings
from integration_hub.stores.bindings import Binding
from integration_hub.stores.database import in_transaction, update
from integration_hub.stores.errors import record_error
from integration_hub.stores.home import Home, Target
from integration_hub.stores.runs import Counts, Run, advance
from integration_hub.sync.config import StreamConfig


def remove_document(home: Home, stream: StreamConfig, target: Target, binding: Binding) -> Exception | None:
	"""Apply the stream's deletion policy to a binding; return the error that kept a document from going.

	A document that was adopted is never deleted: this stream did not make it.
	"""
	try:
		if binding.target_name:
			with home.db.savepoint():
				if stream.deletion_policy == "Disable":
					target.set_value(binding.target_name, stream.disable_field, stream.disable_value)
				elif stream.deletion_policy == "Delete" and not binding.adopted:
					target.delete(binding.target_name)
	except Exception as error:
		if home.db.is_transient(error):
			raise  # the database has undone the whole transaction: it begins again
		return error
	if stream.deletion_policy == "Delete" and not binding.adopted:
		binding.target_name = None  # whoever is called so later is somebody else
	binding.status, binding.content_hash = "Deleted", ""
	return None


def needs_approval(stream: StreamConfig, gone: int, live: int) -> bool:
	"""Tell whether removing `gone` of `live` documents is more than a run may do by itself."""
	return gone > stream.max_delete_count and gone * 100 > live * stream.max_delete_percent


def remove_orphans(home: Home, stream: StreamConfig, run: Run, redactor: Redactor) -> int:
	"""Remove the documents that a complete full run did not see; return how many wait for approval."""
	gone = bindings.count_live(home.db, stream.name, before=run.seen)
	if not gone:
		return 0
	if needs_approval(stream, gone, bindings.count_live(home.db, stream.name)):

		def hold() -> None:
			bindings.mark_missing(home.db, stream.name, run.name, run.seen)
			update(home.db, "Sync Log", run.name, {"to_delete": gone})

		in_transaction(home.db, hold)
		return gone
	_remove_all(home, stream, run, redactor, "`last_seen` < %s", [run.seen])
	return 0


def remove_approved(home: Home, stream: StreamConfig, run: Run, held_by: str, redactor: Redactor) -> None:
	"""Remove what run `held_by` held back and no later run saw again."""
	_remove_all(home, stream, run, redactor, "`missing_run` = %s", [held_by])


def _remove_all(
	home: Home, stream: StreamConfig, run: Run, redactor: Redactor, where: str, params: Sequence[object]
) -> None:
	target = home.target(stream.target_doctype, stream.write_mode)
	condition = f"`stream` = %s AND `status` <> 'Deleted' AND {where}"
	last = ""
	while True:
		# Read where it is written: what an event has brought back since the last batch no longer fits.
		def remove(last: str = last) -> tuple[Counts, str]:
			counts = Counts()
			batch = bindings.after(home.db, condition, [stream.name, *params], last)
			for binding in batch:
				error = remove_document(home, stream, target, binding)
				counts.deleted += error is None
				counts.failed += error is not None
				if error is None:
					binding.error = binding.payload = binding.missing_run = None
				else:
					binding.error = redactor.text(error, 500)
					_log(home, stream, run, redactor, binding, error)
			bindings.save(home, stream.name, stream.target_doctype, batch)
			advance(home, run, counts)
			return counts, batch[-1].name if batch else ""

		counts, last = in_transaction(home.db, remove)
		run.counts.add(counts)
		if not last:
			return
		home.progress(run)


def _log(home: Home, stream: StreamConfig, run: Run, redactor: Redactor, binding: Binding, error) -> None:
	record_error(
		home,
		error,
		operation="Delete",
		integration=stream.integration,
		redactor=redactor,
		stream=stream.name,
		sync_log=run.name,
		external_id=binding.external_id[:500],
	)
