"""Link conversions: from a value of the source to the name of the document it means, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration_hub.stores.bindings import names_of
from integration_hub.stores.fields import Fields
from integration_hub.stores.runtime import Runtime
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.mapping import Mapped, MappingError

STREAM, DYNAMIC = "stream:", "Dynamic Link"


@dataclass(frozen=True)
class Lookup:
	"""One Link row of a mapping: find documents of `doctype` whose field `by` has the value.

	by: a fieldname, or `stream:NAME` for the document that stands for the external id in that stream.
	"""

	field: str
	doctype: str
	by: str

	@property
	def stream(self) -> str:
		"""Return the stream whose bindings are looked up, "" if a field is."""
		return self.by[len(STREAM) :].strip() if self.by.startswith(STREAM) else ""

	def holders(self, values: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
		"""Return the dictionaries of a mapped record in which the field stands, and its key there."""
		table, dot, field = self.field.partition(".")
		for holder in (values.get(table) or ()) if dot else (values,):
			if holder.get(field if dot else table) is not None:
				yield holder, field if dot else table


def lookups(stream: StreamConfig, fields: Fields) -> list[Lookup]:
	"""Return a stream's Link rows."""
	found = []
	for row in stream.mapping:
		if row.conversion == "Link":
			table, dot, name = row.field.partition(".")
			field = fields[table].fields[name] if dot else fields[table]
			# The options of a dynamic link name a field, in which the DocType stands.
			doctype = "document" if field.kind == DYNAMIC else field.options
			found.append(Lookup(row.field, doctype, row.argument.strip()))
	return found


def resolve(
	runtime: Runtime, mode: str, wanted: Sequence[Lookup], items: Iterable[Mapped]
) -> dict[str, MappingError]:
	"""Put documents' names where the mapping left the source's values; return what was not found, by external id.

	mode: the stream's way of writing (see Runtime.target).
	"""
	failures: dict[str, MappingError] = {}
	listed = list(items)
	for lookup in wanted:
		held = [(item, *place) for item in listed for place in lookup.holders(item.values)]
		names = _find(runtime, mode, lookup, sorted({holder[key] for _, holder, key in held}))
		for item, holder, key in held:
			name = names.get(holder[key])
			if name is None:
				means = f"of stream {lookup.stream}" if lookup.stream else f"with {lookup.by}"
				failures[item.external_id] = MappingError(
					f"{lookup.field}: there is no {lookup.doctype} {means} {holder[key]!r} yet"
				)
				continue
			holder[key] = name
	return failures


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
