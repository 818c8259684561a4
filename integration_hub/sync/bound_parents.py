"""Parents from what is bound: one list for each record that another stream has brought here already.

Nothing is asked of the source for them. Of a parent its id is known, and what its mapping takes as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration_hub.connectors.completeness_doubt import Doubt
from integration_hub.connectors.pages import ListRequest
from integration_hub.lazy_messages import _
from integration_hub.stores import bindings
from integration_hub.stores.bindings import Binding
from integration_hub.stores.database import Row, in_list
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import settings_row
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.stream_slices import Slice, part_of_parent

BOUND = "Bound Records"
PARENT_SOURCES = ("API", BOUND)
_BATCH = 500
_PLAIN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True)
class BoundParents:
	"""One list for each record of another stream that the source has, as far as is known here."""

	runtime: Runtime
	parent: StreamConfig
	may_be_gone = True

	def slices(self, request: ListRequest, at: Any) -> Iterator[Slice]:
		"""Return a list for each parent, in the order of their bindings' names, from that name on."""
		where, last = f"{bindings.LIVE} AND `name` >= %s", ""
		while batch := bindings.after(self.runtime.db, self.parent.name, where, [at or ""], last, _BATCH):
			documents = self._documents(batch)
			for binding in batch:
				record = self._record(binding, documents.get(binding.target_name or "", {}))
				part = part_of_parent(binding.external_id)
				yield Slice(binding.name, {"parent": record}, record, part=part)
			last = batch[-1].name
		if not settings_row(self.runtime.db, "Sync Settings", self.parent.name)["last_success_at"]:
			sign = _("the parent stream {0!r} was never fetched to its end", self.parent.name)
			yield Slice("", doubt=Doubt(sign, "Parent Stream (parent_stream)"))

	def _documents(self, batch: Sequence[Binding]) -> dict[str, Row]:
		"""Return what the parents' documents hold of the fields that are mapped as they are, by name."""
		fields = sorted(self._paths())
		marks, names = in_list(binding.target_name for binding in batch if binding.target_name)
		if not (fields and names):
			return {}
		columns = ", ".join(f"`{field}`" for field in ("name", *fields))
		sql = f"SELECT {columns} FROM `tab{self.parent.target_doctype}` WHERE `name` IN ({marks})"
		return {row["name"]: row for row in self.runtime.db.query(sql, names)}

	def _paths(self) -> dict[str, str]:
		"""Return the plain source paths of fields without a conversion, by field."""
		known = self.runtime.target(self.parent.target_doctype, self.parent.write_mode).fields()
		return {
			row.field: row.source_path
			for row in self.parent.mapping
			if not row.conversion and row.field in known and _PLAIN.fullmatch(row.source_path)
		}

	def _record(self, binding: Binding, document: Mapping[str, Any]) -> dict[str, Any]:
		"""Return a parent's record as far as it is known here."""
		record: dict[str, Any] = {}
		for field, path in self._paths().items():
			_put(record, path, document.get(field))
		_put(
			record,
			self.parent.id_path if _PLAIN.fullmatch(self.parent.id_path) else "id",
			binding.external_id,
		)
		return record


def _put(record: dict[str, Any], path: str, value: Any) -> None:
	*outer, last = path.split(".")
	for name in outer:
		inner = record.setdefault(name, {})
		record = record[name] = inner if isinstance(inner, dict) else {}
	if value is not None:
		record[last] = value if isinstance(value, str | int | float) else str(value)
