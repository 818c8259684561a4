"""Documents whose removal waits for a person, listed as people know them."""

from __future__ import annotations

from dataclasses import dataclass

from integration_hub.stores import bindings
from integration_hub.stores.runtime import Runtime
from integration_hub.stores.settings import settings_row
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.run import load_stream


@dataclass(frozen=True)
class HeldDeletion:
	"""A document that an approval would remove. fate: what becomes of it: Deleted, Cancelled, Disabled, Kept."""

	external_id: str
	name: str
	title: str
	fate: str


def waiting_runs(runtime: Runtime, stream: str = "") -> list[dict]:
	"""Return the runs whose deletions wait for a person, the oldest first: {name, stream, count}."""
	where, values = ("AND `stream` = %s", [stream]) if stream else ("", [])
	sql = f"""SELECT `name`, `stream` FROM `tabSync Log`
		WHERE `status` = 'Needs Approval' {where} ORDER BY `name`"""
	found = runtime.db.query(sql, values)
	return [{**row, "count": bindings.count_held(runtime.db, row["stream"], row["name"])} for row in found]


def held_deletions(runtime: Runtime, sync_log: str, limit: int = 100, after: str = "") -> list[HeldDeletion]:
	"""Return documents that a run holds back, by their External Records' names, those behind `after`."""
	stream = load_stream(runtime, settings_row(runtime.db, "Sync Log", sync_log)["stream"])
	where = f"{bindings.LIVE} AND `missing_run` = %s"
	found = bindings.after(runtime.db, stream.name, where, [sync_log], after, limit)
	titles = titles_of(runtime, stream, [binding.target_name for binding in found if binding.target_name])
	return [
		HeldDeletion(
			binding.external_id,
			binding.target_name or "",
			titles.get(binding.target_name or "", ""),
			_fate(stream, binding),
		)
		for binding in found
	]


def titles_of(runtime: Runtime, stream: StreamConfig, names: list[str]) -> dict[str, str]:
	"""Return documents' titles by their names: what the DocType calls one, else the first text that is mapped."""
	target = runtime.target(stream.target_doctype, stream.write_mode)
	field = runtime.title_field(stream.target_doctype) or _first_text(stream)
	if not (field and names):
		return {}
	return {name: str(values.get(field) or "") for name, values in target.values(names, [field]).items()}


def _first_text(stream: StreamConfig) -> str:
	id_fields = {row.field for row in stream.mapping if row.source_path == stream.id_path}
	fields = (row.field for row in stream.mapping if "." not in row.field and row.conversion in ("", "Text"))
	return next((field for field in fields if field not in id_fields), "")


def _fate(stream: StreamConfig, binding: bindings.Binding) -> str:
	if not binding.target_name or stream.deletion_policy == "Keep":
		return "Kept"
	if stream.deletion_policy == "Disable":
		return "Disabled"
	if binding.adopted:
		return "Kept"
	return "Cancelled" if stream.deletion_policy == "Cancel" else "Deleted"
