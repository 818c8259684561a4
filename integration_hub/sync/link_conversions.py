"""Link conversions: from a value of the source to the name of the document it means, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration_hub.stores.bindings import names_of
from integration_hub.stores.fields import Field, Fields
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.mapping import Mapped, MappingError

STREAM, DYNAMIC = "stream:", "Dynamic Link"
USE_DEFAULT, SKIP_RECORD = "Use Default", "Skip Record"
FALLBACKS = ("", USE_DEFAULT, SKIP_RECORD)


class Skipped(MappingError):
	"""A record that is not written, by a rule of its stream."""


@dataclass(frozen=True)
class Lookup:
	"""One Link row of a mapping: find documents of `doctype` whose field `by` has the value.

	by: a fieldname, or `stream:NAME` for the document that stands for the external id in that stream.
	row: the row itself, for what to do where nothing is found.
	beside, choices: of a dynamic link, the field in which its DocType stands, and all that the row knows.
	"""

	field: str
	doctype: str
	by: str
	row: FieldMapping
	beside: str = ""
	choices: frozenset[str] = frozenset()

	@property
	def stream(self) -> str:
		"""Return the stream whose bindings are looked up, "" if a field is."""
		return self.by[len(STREAM) :].strip() if self.by.startswith(STREAM) else ""

	@property
	def default(self) -> str:
		"""Return what stands in for what is not found, "" for nothing."""
		return self.row.default_value if self.row.if_not_found == USE_DEFAULT else ""

	def holders(self, values: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
		"""Return the dictionaries of a mapped record in which the field stands, and its key there."""
		table, dot, field = self.field.partition(".")
		for holder in (values.get(table) or ()) if dot else (values,):
			if holder.get(field if dot else table) is not None:
				yield holder, field if dot else table

	def is_for(self, holder: Mapping[str, Any]) -> bool:
		"""Tell whether the link stands for a document of this lookup's DocType. Raises MappingError for an unknown one."""
		if not self.choices:
			return True
		told = holder.get(self.beside)
		if told not in self.choices:
			known = ", ".join(sorted(self.choices))
			raise MappingError(f"{self.field}: {self.beside} is {told!r}, and the row knows only {known}")
		return told == self.doctype


def alternatives(argument: str) -> list[tuple[str, str]]:
	"""Return what a Link's argument says as (DocType, how to find it); without a DocType, if it names none."""
	lines = list(filter(None, map(str.strip, argument.splitlines())))
	if len(lines) == 1 and ("=" not in lines[0] or lines[0].startswith(STREAM)):
		return [("", lines[0])]
	return [(doctype.strip(), by.strip()) for doctype, _, by in (line.partition("=") for line in lines)]


def lookups(stream: StreamConfig, fields: Fields) -> list[Lookup]:
	"""Return a stream's Link rows, a dynamic link's once for each DocType."""
	return [found for row in stream.mapping if row.conversion == "Link" for found in _of_row(row, fields)]


def _of_row(row: FieldMapping, fields: Fields) -> Iterator[Lookup]:
	table, dot, name = row.field.partition(".")
	field: Field = fields[table].fields[name] if dot else fields[table]
	ways = alternatives(row.argument)
	choices = frozenset(doctype for doctype, _ in ways if doctype)
	for doctype, by in ways:
		if field.kind != DYNAMIC:
			yield Lookup(row.field, field.options, by, row)
		else:  # whose options name a field, in which the DocType stands
			yield Lookup(row.field, doctype or "document", by, row, field.options, choices)


def resolve(
	runtime: Runtime, mode: str, wanted: Sequence[Lookup], items: Iterable[Mapped]
) -> dict[str, MappingError]:
	"""Put documents' names where the mapping left the source's values; return what was not found, by external id.

	mode: the stream's way of writing (see Runtime.target). A failure is Skipped where the row says to skip the record.
	"""
	failures: dict[str, MappingError] = {}
	listed = list(items)
	for lookup in wanted:
		held = list(_held(lookup, listed, failures))
		values = {holder[key] for _, holder, key in held} | ({lookup.default} if lookup.default else set())
		names = _find(runtime, mode, lookup, sorted(values)) if held else {}
		for item, holder, key in held:
			try:
				holder[key] = names.get(holder[key]) or _missing(lookup, holder[key], names)
			except MappingError as error:
				if not isinstance(failures.get(item.external_id), Skipped):
					failures[item.external_id] = error
	return failures


def _held(
	lookup: Lookup, items: Iterable[Mapped], failures: dict[str, MappingError]
) -> Iterator[tuple[Mapped, dict[str, Any], str]]:
	"""Yield where a lookup's values stand; add records whose link is of no DocType that is known to the failures."""
	for item in items:
		for holder, key in lookup.holders(item.values):
			try:
				if lookup.is_for(holder):
					yield item, holder, key
			except MappingError as error:
				failures.setdefault(item.external_id, error)


def _missing(lookup: Lookup, value: str, names: Mapping[str, str]) -> str | None:
	"""Return the name of the document that stands in for one that is not there, None for none. Raises MappingError."""
	row = lookup.row
	if row.if_not_found == USE_DEFAULT and (lookup.default or not row.required):
		return names.get(lookup.default) or lookup.default or None
	means = f"of stream {lookup.stream}" if lookup.stream else f"with {lookup.by}"
	text = f"{lookup.field}: there is no {lookup.doctype} {means} {value!r}"
	raise Skipped(text) if row.if_not_found == SKIP_RECORD else MappingError(f"{text} yet")


def _find(runtime: Runtime, mode: str, lookup: Lookup, values: list[str]) -> dict[str, str]:
	if not values:
		return {}
	if lookup.stream:
		names = names_of(runtime.db, lookup.stream, values)
		seen = runtime.seen(lookup.doctype, set(names.values()))
		return {value: name for value, name in names.items() if name in seen}
	return matched(runtime.target(lookup.doctype, mode).find(lookup.by, values), values)


def matched(found: Mapping[str, str], wanted: Iterable[str]) -> dict[str, str]:
	"""Return the names found by the values that were wanted; where no value is the same, one in another case
	is: most databases compare so, and most people."""
	folded = {value.strip().casefold(): name for value, name in found.items()}
	names = ((value, found.get(value) or folded.get(value.strip().casefold())) for value in wanted)
	return {value: name for value, name in names if name}
