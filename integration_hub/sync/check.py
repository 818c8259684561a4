"""What is wrong with a stream's settings, said before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from croniter import croniter

from integration_hub.connectors.lanes import MAX_LANES
from integration_hub.connectors.pagination import PAGINATIONS
from integration_hub.sync.config import MODES, StreamConfig
from integration_hub.sync.mapping import CONVERSIONS, path_problem

Problem = tuple[str, str]  # field, sentence


def stream_problems(stream: StreamConfig, fieldtypes: Mapping[str, str]) -> list[Problem]:
	"""Return what is wrong as (field, sentence), empty when the stream can run.

	fieldtypes: the target DocType's fields that can be written; empty if it does not exist.
	"""
	return [*_source(stream), *_target(stream, fieldtypes), *_schedule(stream)]


def _source(stream: StreamConfig) -> Iterator[Problem]:
	if stream.mode not in MODES:
		yield "mode", f"{stream.mode!r} is not one of {', '.join(MODES)}"
	if stream.pagination not in PAGINATIONS:
		yield "pagination", f"{stream.pagination!r} is not one of {', '.join(PAGINATIONS)}"
	if not stream.endpoint:
		yield "endpoint", "is empty"
	if stream.page_size <= 0:
		yield "page_size", "must be above zero"
	if not 1 <= stream.lanes <= MAX_LANES:
		yield "lanes", f"must be from 1 to {MAX_LANES}"
	for line in stream.params.splitlines():
		if line.strip() and "=" not in line:
			yield "params", f"{line.strip()!r} is not name=value"
	for field in ("records_path", "id_path", "updated_at_path", "deleted_path", "cursor_path", "more_path"):
		path = getattr(stream, field)
		if path and (problem := path_problem(path)):
			yield field, problem
	if stream.mode == "Incremental":
		if not stream.updated_at_path:
			yield "updated_at_path", "is needed for Incremental: the watermark comes from the data"
		if not stream.changed_since_param:
			yield "changed_since_param", "is needed for Incremental"
	if stream.mode == "Cursor" and stream.pagination != "Cursor":
		yield "pagination", "must be Cursor for a change feed"


def _target(stream: StreamConfig, fieldtypes: Mapping[str, str]) -> Iterator[Problem]:
	if not fieldtypes:
		yield "target_doctype", f"DocType {stream.target_doctype or '(empty)'} does not exist"
		return
	if not stream.mapping:
		yield "mapping", "is empty"
	seen = set()
	for number, row in enumerate(stream.mapping, 1):
		where = f"row {number}"
		if row.field not in fieldtypes:
			yield "mapping", f"{where}: {stream.target_doctype} has no field {row.field!r}"
		elif row.field in seen:
			yield "mapping", f"{where}: field {row.field!r} is mapped twice"
		seen.add(row.field)
		if row.conversion not in CONVERSIONS:
			yield (
				"mapping",
				f"{where}: conversion {row.conversion!r} is not one of {', '.join(CONVERSIONS[1:])}",
			)
		if row.source_path and (problem := path_problem(row.source_path)):
			yield "mapping", f"{where}: {problem}"
		if not row.source_path and not row.default_value:
			yield "mapping", f"{where}: {row.field!r} has neither a source path nor a default"
	if stream.match_field and stream.match_field not in seen:
		yield "match_field", f"{stream.match_field!r} is not mapped"
	if stream.deletion_policy == "Disable" and stream.disable_field not in fieldtypes:
		yield "disable_field", f"{stream.target_doctype} has no field {stream.disable_field!r}"
	if stream.write_mode not in ("Documents", "Bulk"):
		yield "write_mode", f"{stream.write_mode!r} is neither Documents nor Bulk"
	if stream.deletion_policy not in ("Keep", "Disable", "Delete"):
		yield "deletion_policy", f"{stream.deletion_policy!r} is not one of Keep, Disable, Delete"


def _schedule(stream: StreamConfig) -> Iterator[Problem]:
	if stream.schedule not in ("Default", "Interval", "Cron", "Off"):
		yield "schedule", f"{stream.schedule!r} is not one of Default, Interval, Cron, Off"
	if stream.schedule == "Interval" and stream.interval_minutes <= 0:
		yield "interval_minutes", "must be above zero"
	if stream.schedule == "Cron" and not croniter.is_valid(stream.cron):
		yield "cron", f"{stream.cron!r} is not a cron expression"
