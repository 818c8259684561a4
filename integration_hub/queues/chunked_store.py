"""A batch goes into the inbox in pieces that a database takes, and what it will never take is set apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from integration_hub.queues.dead_letters import NOT_STORED
from integration_hub.stores import inbox
from integration_hub.stores.database import insert
from integration_hub.stores.ids import new_id
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.statement_size import longest_statement, size_of

MOST_BYTES = 1_000_000  # bytes of payloads in one statement, which databases limit


@dataclass
class Stored:
	"""The outcome of storing events: a verdict for each that was committed, a reason for each that no database takes."""

	verdicts: list[inbox.Verdict] = field(default_factory=list)
	refused: dict[int, str] = field(default_factory=dict)  # reasons, by the event's place in the batch


def store_in_chunks(runtime: Runtime, events: Sequence[inbox.Event]) -> Stored:
	"""Commit events, in order; raises what `inbox.store` does where it is not an event's fault."""
	done = Stored()
	sizes = [size_of(event) for event in events]
	most = MOST_BYTES
	if sum(sizes) > most and (limit := longest_statement(runtime)):
		most = min(most, limit)
		for number, size in enumerate(sizes):
			if size > limit:
				done.refused[number] = "body_too_large_for_database"
	for chunk in _chunks([n for n in range(len(events)) if n not in done.refused], sizes, most):
		_store_chunk(runtime, events, chunk, done)
	return done


def _store_chunk(runtime: Runtime, events: Sequence[inbox.Event], chunk: Sequence[int], done: Stored) -> None:
	"""Commit a piece; where the database refuses it, each event by itself."""
	try:
		done.verdicts += inbox.store(runtime, [events[number] for number in chunk])
		return
	except (*runtime.db.errors, ValueError) as error:  # ValueError: text that the driver cannot encode
		if runtime.db.is_transient(error):
			raise
	for number in chunk:
		try:
			done.verdicts += inbox.store(runtime, [events[number]])
		except (*runtime.db.errors, ValueError) as error:
			# A full disk or a locked table is no fault of a message: the batch waits until it is over.
			if runtime.db.is_transient(error) or not _takes_rows(runtime):
				raise
			done.refused[number] = f"{NOT_STORED}: {type(error).__name__}: {error}"[:500]


def _chunks(numbers: Sequence[int], sizes: Sequence[int], most: int) -> Iterator[list[int]]:
	chunk: list[int] = []
	size = 0
	for number in numbers:
		if chunk and size + sizes[number] > most:
			yield chunk
			chunk, size = [], 0
		chunk.append(number)
		size += sizes[number]
	if chunk:
		yield chunk


class _Undone(Exception):
	pass


def _takes_rows(runtime: Runtime) -> bool:
	"""Tell whether the inbox takes a row that says nothing; it is not kept."""
	now, owner, name = runtime.now(), runtime.owner(), new_id()
	row = {"name": name, "event_key": name, "status": "Conflict", "creation": now, "modified": now}
	row |= {"owner": owner, "modified_by": owner}
	try:
		with runtime.db.transaction():
			insert(runtime.db, inbox.DOCTYPE, row)
			raise _Undone
	except _Undone:
		return True
	except runtime.db.errors:  # what it is, the caller's own error says
		return False
