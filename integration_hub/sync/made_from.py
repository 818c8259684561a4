"""Documents that are made from the documents of another stream: an invoice from its order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from integration_hub.lazy_messages import _
from integration_hub.stores.bindings import names_of
from integration_hub.stores.runtime import Change, Runtime
from integration_hub.sync.config import StreamConfig, load_stream
from integration_hub.sync.mapping import Mapper, MappingError


def made_from_problems(
	stream: StreamConfig, target_of: Callable[[str], str], mapper_problem: Callable[[str, str], str]
) -> Iterator[tuple[str, str]]:
	"""Return what is wrong with these settings of a stream, as (field, sentence).

	target_of: the target of another stream, "" if there is none. mapper_problem: says of a DocType and a function why
	that cannot make its documents, "" if it can.
	"""
	if not stream.mapper:
		for field in ("made_from", "made_from_id"):
			if getattr(stream, field):
				yield field, _("has no use where Made By is empty")
		return
	if stream.write_mode == "Bulk":
		yield "mapper", _("is not for Bulk, which writes rows")
	elif problem := mapper_problem(stream.target_doctype, stream.mapper):
		yield "mapper", problem
	if not stream.made_from or stream.made_from == stream.name or not target_of(stream.made_from):
		yield "made_from", _("needs the name of another stream")


class Origins:
	"""Finds the documents that the new ones of a stream are made from."""

	def __init__(self, runtime: Runtime, stream: StreamConfig) -> None:
		self._runtime, self._stream = runtime, stream
		source = load_stream(runtime, stream.made_from)
		self._doctype = source.target_doctype
		path = stream.made_from_id or stream.id_path
		self._ids = Mapper(StreamConfig(stream.made_from, id_path=path), runtime.local_time)

	def put(
		self, changes: Sequence[Change], records: Mapping[str, Mapping[str, Any]]
	) -> dict[str, MappingError]:
		"""Put into changes that make documents what makes them, and of which; return why some wait, by external id."""
		new = [change for change in changes if not change.name]
		wanted, failures = {}, {}
		for change in new:
			try:
				wanted[change.external_id] = self._ids.external_id(records[change.external_id])
			except MappingError as error:
				failures[change.external_id] = MappingError(f"made_from_id: {error}")
		names = names_of(self._runtime.db, self._stream.made_from, list(wanted.values())) if wanted else {}
		for change in new:
			change.mapper = self._stream.mapper
			if name := names.get(wanted.get(change.external_id, "")):
				change.origin = (self._doctype, name)
			else:
				said = f"there is no {self._doctype} of stream {self._stream.made_from}"
				missing = MappingError(f"{said} {wanted.get(change.external_id)!r} yet, to make it from")
				failures.setdefault(change.external_id, missing)
		return failures
