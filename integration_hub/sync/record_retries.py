"""Records that could not be written: kept, tried again with backoff, and given up in the end.

A retry is not the fetch: it neither makes a run a failed one nor counts as fetched. What was given up waits for a person,
or for the source to send the record again.
"""

from __future__ import annotations

from collections.abc import Sequence

from integration_hub.connectors.json_text import read_json
from integration_hub.stores import bindings
from integration_hub.stores.bindings import Binding
from integration_hub.stores.database import chunks, in_transaction, update
from integration_hub.stores.error_log import record_error
from integration_hub.stores.record_backoff import MOST_ATTEMPTS
from integration_hub.stores.runs import Counts, Run, advance
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import settings_row
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.mapping import DETAIL_FAILED
from integration_hub.sync.page_plan import Record
from integration_hub.sync.page_writer import PageWriter

DOCTYPE = "Sync Settings"
_MOST_AT_ONCE = 10_000  # records that one run tries again; the next one goes on
_BATCH = 100


class RecordsGivenUp(Exception):
	"""Records that no retry could write."""

	kind = "Records Given Up"


def retry_failed(runtime: Runtime, stream: StreamConfig, run: Run, writer: PageWriter) -> None:
	"""Try the records again that are due, in the order of their source times."""
	writer.planner.retried = False
	if settings_row(runtime.db, DOCTYPE, stream.name)["has_failed"]:
		_retry_due(runtime, stream, run, writer)
	writer.planner.retried = True


def _retry_due(runtime: Runtime, stream: StreamConfig, run: Run, writer: PageWriter) -> None:
	due = bindings.due_failures(runtime, stream.name, _MOST_AT_ONCE)
	writer.retrying = True
	for names in chunks(due, _BATCH):
		_retry(runtime, run, writer, bindings.by_name(runtime.db, names))
	writer.retrying = False
	if not bindings.has_failures(runtime.db, stream.name):
		in_transaction(runtime.db, lambda: update(runtime.db, DOCTYPE, stream.name, {"has_failed": 0}))


def try_again(runtime: Runtime, run: Run, writer: PageWriter, failed: Sequence[Binding]) -> None:
	"""Write records again that are kept, at anybody's request, and count that in the run."""
	writer.retrying = True
	_retry(runtime, run, writer, failed)
	writer.retrying = False


def _retry(runtime: Runtime, run: Run, writer: PageWriter, failed: Sequence[Binding]) -> None:
	rest: list[Record] = [read_json(binding.payload) for binding in failed if binding.payload]
	if writer.details and any(DETAIL_FAILED in record for record in rest):
		rest = writer.details.again(rest)
	while rest:

		def work(records: list[Record] = rest) -> tuple[Counts, list[Record]]:
			counts, left = writer.write_some(records)
			if not left:
				bindings.drop_identified(runtime.db, [binding.name for binding in failed], writer.mark.by)
			advance(runtime, run, counts, pages=0)
			return counts, left

		counts, rest = in_transaction(runtime.db, work)
		run.counts.add(counts)
		run.retried += counts.failed
		runtime.progress(run)


def report_given_up(runtime: Runtime, stream: StreamConfig, run: Run, writer: PageWriter) -> None:
	"""Log, once a run, how many records were given up: somebody has to look at them."""
	if not writer.given_up:
		return
	error = RecordsGivenUp(
		f"{writer.given_up} records of {stream.name} could not be written {MOST_ATTEMPTS} times and are "
		"not tried again by themselves; External Record lists them with status Dead."
	)
	where = {"stream": stream.name, "sync_log": run.name}

	def log() -> None:
		record_error(
			runtime,
			error,
			operation="Sync",
			integration=stream.integration,
			redactor=writer.redactor,
			**where,
		)

	in_transaction(runtime.db, log)
