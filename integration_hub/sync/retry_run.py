"""Records that could not be written, tried again on a person's word: chosen by name, or by what keeps them back.

It is a run beside the stream's own, of mode Retry: nothing is fetched, what was kept of the records is written. Its note
says what became of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from integration_hub.connectors.redact import Redactor
from integration_hub.stores import bindings
from integration_hub.stores.bindings import Binding
from integration_hub.stores.database import chunks, in_list, in_transaction
from integration_hub.stores.runs import Run
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.details import Details
from integration_hub.sync.page_writer import PageWriter
from integration_hub.sync.record_retries import try_again
from integration_hub.sync.run import run_beside

MODE = "Retry"
MOST = 100_000  # records of one run; the next one goes on with the rest
_BATCH = 100


@dataclass
class Outcome:
	"""The outcome for records that were tried again: written, failed again, and the same error among these.

	lost: records of which nothing is kept; their source has to send them again. left: those beyond MOST.
	"""

	written: int = 0
	failed: int = 0
	same: int = 0
	lost: int = 0
	left: int = 0

	@property
	def sentence(self) -> str:
		"""Return the outcome for a person, in the words of notes of runs."""
		said = [f"{self.written} of {self.written + self.failed} records were written."]
		if self.failed:
			alike = "with the same error" if self.same == self.failed else f"{self.same} with the same error"
			said.append(f"{self.failed} failed again, {alike}.")
		if self.lost:
			said.append(
				f"Of {self.lost} nothing is kept that could be tried: their source has to send them again."
			)
		if self.left:
			said.append(f"{self.left} are left for another retry.")
		return " ".join(said)


def retry_records(
	runtime: Runtime,
	stream: str,
	triggered_by: str = "Person",
	*,
	names: Sequence[str] = (),
	error_log: str = "",
) -> dict:
	"""Try records of a stream again that could not be written; return the Sync Log row, whose `error` says the outcome.

	names: of their External Records; without any, all of them, or those that a failure of the error log keeps back.
	Those that were given up are tried as well. Raises HubError where the stream cannot run now.
	"""

	def work(current: StreamConfig, run: Run, redactor: Redactor) -> int:
		found = choose(runtime, stream, names=names, error_log=error_log)
		run.note = _try(runtime, current, run, redactor, found).sentence
		return 0

	return run_beside(runtime, stream, MODE, triggered_by, work)


def choose(runtime: Runtime, stream: str, *, names: Sequence[str] = (), error_log: str = "") -> list[str]:
	"""Return the names of a stream's records that could not be written, by source time; see retry_records."""
	if names:
		found = (_chosen(runtime, stream, some) for some in chunks(list(dict.fromkeys(names)), 1000))
		return [name for some in found for name in some]
	return _chosen(runtime, stream, error_log=error_log)


def _chosen(runtime: Runtime, stream: str, names: Sequence[str] = (), error_log: str = "") -> list[str]:
	marks, values = in_list(bindings.NOT_WRITTEN)
	where = [f"`status` IN ({marks})", "`stream` = %s"]
	values.append(stream)
	if error_log:
		where.append("`error_log` = %s")
		values.append(error_log)
	if names:
		marks, listed = in_list(names)
		where.append(f"`name` IN ({marks})")
		values += listed
	sql = f"""SELECT `name` FROM `tab{bindings.DOCTYPE}` WHERE {" AND ".join(where)}
		ORDER BY COALESCE(`source_time`, ''), `name`"""
	return [row["name"] for row in runtime.db.query(sql, values)]


def _try(
	runtime: Runtime, stream: StreamConfig, run: Run, redactor: Redactor, names: Sequence[str]
) -> Outcome:
	writer = PageWriter(
		runtime, stream, redactor, mark=run.mark, operation="Sync", run=run, sync_log=run.name
	)
	if not stream.fetch_details:
		return _try_with(runtime, stream, run, writer, names)
	with closing(runtime.connector(stream.integration)) as connector:
		writer.know(connector.redactor)
		writer.details = Details(runtime, stream, connector, writer.mapper)
		return _try_with(runtime, stream, run, writer, names)


def _try_with(
	runtime: Runtime, stream: StreamConfig, run: Run, writer: PageWriter, names: Sequence[str]
) -> Outcome:
	outcome = Outcome(left=max(len(names) - MOST, 0))
	for some in chunks(names[:MOST], _BATCH):
		in_transaction(runtime.db, lambda some=some: bindings.make_due(runtime, stream.name, some))
		before = bindings.by_name(runtime.db, some)
		kept = [binding for binding in before if binding.payload]
		outcome.lost += len(before) - len(kept)
		try_again(runtime, run, writer, kept)
		_judge(runtime, kept, outcome)
	run.error_log = writer.error_log
	return outcome


def _judge(runtime: Runtime, tried: Sequence[Binding], outcome: Outcome) -> None:
	"""Add what became of records to an outcome."""
	now = {binding.name: binding for binding in bindings.by_name(runtime.db, [one.name for one in tried])}
	for before in tried:
		after = now.get(before.name)
		if not (after and after.has_failed):
			outcome.written += 1
			continue
		outcome.failed += 1
		outcome.same += (
			after.error_log == before.error_log if before.error_log else after.error == before.error
		)
