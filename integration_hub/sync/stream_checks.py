"""Checks of a stream's settings, made before it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.connectors.composed_paths import composed_path_problem
from integration_hub.connectors.config import has_credentials
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.pagination import FEEDS, HEADER, PAGINATIONS
from integration_hub.connectors.records_path import list_problem
from integration_hub.connectors.request_template import template_problems
from integration_hub.connectors.response_format import XML, ResponseFormat, format_problems
from integration_hub.connectors.setting_ranges import range_problems
from integration_hub.connectors.time_bounds import PRECISIONS
from integration_hub.lazy_messages import _
from integration_hub.stores.doctype_tables import KEPT_COLUMNS
from integration_hub.stores.fields import Field, Fields
from integration_hub.stores.runtime import Runtime, Target
from integration_hub.stores.settings import stream_rows
from integration_hub.sync.after_writing import after_writing_problems
from integration_hub.sync.bound_parents import BOUND, PARENT_SOURCES
from integration_hub.sync.config import MODES, FieldMapping, StreamConfig, statuses
from integration_hub.sync.conversions import converter
from integration_hub.sync.cron import LONGEST_CRON, is_cron, next_times
from integration_hub.sync.link_conversions import DYNAMIC, FALLBACKS, STREAM, alternatives
from integration_hub.sync.made_from import made_from_problems
from integration_hub.sync.stream_slices import window_seconds
from integration_hub.sync.times import parse_time, utc_reader, zone
from integration_hub.sync.write_rules import ONLY, WRITES

Problem = tuple[str, str]  # field, sentence
POLICIES = ("Keep", "Disable", "Delete", "Cancel")
_PATHS = (
	"records_path",
	"record_filter",
	"skip_when",
	"submit_when",
	"cancel_when",
	"updated_at_path",
	"deleted_path",
	"cursor_path",
	"more_path",
	"total_path",
	"pages_path",
	"delta_path",
	"record_answer_path",
	"flatten_path",
	"restart_key",
)


@dataclass(frozen=True)
class StreamContext:
	"""The names that a stream may use besides its target's.

	transforms: the registered Python functions, name → dotted path. fields_of: the fields of a DocType, empty if
	there is none. target_of: the target of another stream, "" if there is none. submit_problem: why documents of a
	DocType cannot be submitted, "" if they can.
	"""

	transforms: Mapping[str, str]
	fields_of: Callable[[str], Fields]
	target_of: Callable[[str], str]
	submit_problem: Callable[[str], str] = lambda doctype: ""
	mapper_problem: Callable[[str, str], str] = lambda doctype, mapper: ""


def stream_context(runtime: Runtime) -> StreamContext:
	"""Return what the streams of a runtime may name."""

	def target_of(name: str) -> str:
		rows = stream_rows(runtime.db, "`name`, `target_doctype`", "`name` = %s", name)
		return rows[0]["target_doctype"] if rows and rows[0]["name"] == name else ""

	def target(doctype: str) -> Target:
		return runtime.target(doctype, "Documents")

	return StreamContext(
		runtime.transforms(),
		lambda doctype: target(doctype).fields(),
		target_of,
		lambda doctype: target(doctype).submit_problem(),
		lambda doctype, mapper: target(doctype).mapper_problem(mapper),
	)


def stream_problems(stream: StreamConfig, fields: Fields, context: StreamContext) -> list[Problem]:
	"""Return what is wrong as (field, sentence), empty when the stream can run.

	fields: the target DocType's fields that can be written; empty if it does not exist.
	"""
	return [
		*_source(stream),
		*_target(stream, fields),
		*after_writing_problems(stream, context.submit_problem if fields else None),
		*(made_from_problems(stream, context.target_of, context.mapper_problem) if fields else ()),
		*_mapping(stream, fields, context),
		*_schedule(stream),
	]


def _source(stream: StreamConfig) -> Iterator[Problem]:
	if stream.mode not in MODES:
		yield "mode", _("{0!r} is not one of {1}", stream.mode, ", ".join(MODES))
	if stream.pagination not in PAGINATIONS:
		yield "pagination", _("{0!r} is not one of {1}", stream.pagination, ", ".join(PAGINATIONS))
	for field in ("endpoint", "id_path"):
		if not getattr(stream, field):
			yield field, _("is empty")
	if has_credentials(stream.endpoint):
		yield (
			"endpoint",
			_("must not contain a user and password: use the fields under the integration's Authentication"),
		)
	yield from range_problems(stream)
	if stream.record_endpoint and "{id}" not in stream.record_endpoint:
		yield "record_endpoint", _("does not contain {0}, which stands for the record's id", "{id}")
	if has_credentials(stream.record_endpoint):
		yield (
			"record_endpoint",
			_("must not contain a user and password: use the fields under the integration's Authentication"),
		)
	if len(statuses(stream.end_statuses)) != len(stream.end_statuses.replace(",", " ").split()):
		yield "end_statuses", _("{0!r} is not a list of HTTP statuses like 400, 404", stream.end_statuses)
	yield from template_problems(stream.list_request())
	yield from format_problems(ResponseFormat.read(stream.list_request().response), stream.records_path)
	yield from _times(stream)
	yield from _details(stream)
	yield from _restarts(stream)
	yield from _lists(stream)
	for line in stream.params.splitlines():
		if line.strip() and "=" not in line:
			yield "params", _("{0!r} is not name=value", line.strip())
	for field in ("id_path", "made_from_id"):
		if (path := getattr(stream, field)) and (problem := composed_path_problem(path)):
			yield field, problem
	for field in _PATHS:
		path = getattr(stream, field)
		if field == "records_path" and stream.response_format == XML:
			continue  # names of elements
		if path.startswith(HEADER) or (field == "cursor_path" and stream.pagination == "Link Header"):
			continue  # a header's name
		if (path and (problem := path_problem(path))) or (
			field == "records_path" and (problem := list_problem(path))
		):
			yield field, problem
	if stream.mode == "Incremental":
		by_parents = stream.parent_stream and stream.parent_changed_only
		if not (stream.updated_at_path or by_parents):
			yield "updated_at_path", _("is needed for Incremental: the watermark comes from the data")
		if not (stream.changed_since_param or stream.says_since or by_parents):
			yield (
				"changed_since_param",
				_("is needed for Incremental, where no {0} stands in the request", "{since}"),
			)
	if stream.mode == "Cursor" and stream.pagination not in FEEDS:
		yield "pagination", _("must be one of {0} for a change feed", ", ".join(FEEDS))


def _times(stream: StreamConfig) -> Iterator[Problem]:
	"""Say what is wrong with how the source's times are read and written."""
	for field, check in (("updated_at_format", utc_reader), ("time_zone", zone)):
		try:
			if text := getattr(stream, field).strip():
				check(text)
		except ValueError as error:
			yield field, str(error)
	if stream.time_precision not in PRECISIONS:
		known = ", ".join(filter(None, PRECISIONS))
		yield "time_precision", _("{0!r} is not one of {1}", stream.time_precision, known)


def _details(stream: StreamConfig) -> Iterator[Problem]:
	"""Say what is wrong with how the detail of each record is fetched."""
	if stream.detail_missing not in ("Skip", "Deleted"):
		yield "detail_missing", _("{0!r} is not one of {1}", stream.detail_missing, "Skip, Deleted")
	if not stream.fetch_details:
		return
	if not stream.record_endpoint:
		yield "record_endpoint", _("is needed for {0}", "fetch_details")
	if stream.flatten_path:  # several records have one detail, and its list's entry
		yield "flatten_path", _("cannot be used where details are fetched")


def _restarts(stream: StreamConfig) -> Iterator[Problem]:
	"""Say what is wrong with how a list begins again that the source shows only the beginning of."""
	if len(statuses(stream.restart_statuses)) != len(stream.restart_statuses.replace(",", " ").split()):
		yield (
			"restart_statuses",
			_("{0!r} is not a list of HTTP statuses like 400, 404", stream.restart_statuses),
		)
	limits = stream.restart_after or stream.restart_pages or stream.restart_statuses.strip()
	if not stream.restart_key:
		for field in ("restart_param", "restart_after", "restart_pages", "restart_statuses"):
			if getattr(stream, field):
				yield "restart_key", _("is needed for {0}", field)
		if stream.uses("last_key"):
			yield "restart_key", _("is needed for the placeholder {0}", "{last_key}")
		return
	if not limits:
		yield (
			"restart_after",
			_(
				"is needed for {0}: after how many records, pages or by which status the list begins again",
				"restart_key",
			),
		)
	if not (stream.uses("last_key") or stream.changed_since_param or stream.says_since):
		yield "restart_param", _("is needed, where no {0} stands in the request", "{last_key}")
	if stream.mode == "Cursor":
		yield "restart_key", _("is not for a change feed, whose cursor leads on")


def _lists(stream: StreamConfig) -> Iterator[Problem]:
	"""Say what is wrong with the lists that a stream is made of."""
	if stream.mode == "Cursor" and stream.has_many_lists:  # which have no cursor in common
		yield "mode", _("{0!r} is not one of {1}", stream.mode, "Full, Incremental")
	if stream.parent_source not in PARENT_SOURCES:
		yield "parent_source", _("{0!r} is not one of {1}", stream.parent_source, ", ".join(PARENT_SOURCES))
	if (
		stream.parent_source == BOUND and stream.parent_changed_only
	):  # which of them are new here, no time says
		yield "parent_changed_only", _("is only for parents that are asked for at the API")
	if stream.parent_stream == stream.name:
		yield "parent_stream", _("cannot be the stream itself")
	for field, found, name in (
		("parent_stream", stream.parent_stream, "parent"),
		("slice_values", stream.slice_values, "slice"),
	):
		if found and not stream.uses(name):
			yield field, _("has no use: no placeholder {0} stands in the request", f"{{{name}.…}}")
		elif not found and stream.uses(name):
			yield field, _("is needed for the placeholder {0}", f"{{{name}.…}}")
	if stream.window:
		yield from _window(stream)


def _window(stream: StreamConfig) -> Iterator[Problem]:
	try:
		window_seconds(stream.window)
	except ValueError as error:
		yield "window", str(error)
	if not stream.window_start:
		yield "window_start", _("is needed for windows of time")
	for field in ("window_start", "window_end"):
		try:
			if text := getattr(stream, field):
				parse_time(text)
		except ValueError as error:
			yield field, str(error)
	if not (stream.changed_since_param or stream.says_since):
		yield (
			"changed_since_param",
			_("is needed for windows of time, where no {0} stands in the request", "{since}"),
		)


def _target(stream: StreamConfig, fields: Fields) -> Iterator[Problem]:
	if not fields:
		yield "target_doctype", _("DocType {0} does not exist", stream.target_doctype or "(empty)")
		return
	plain = {name for name, field in fields.items() if not field.fields}
	mapped = {row.field for row in stream.mapping} & plain
	for name in stream.match_fields:
		if name not in mapped:
			yield (
				"match_field" if name == stream.match_field else "match_more",
				_("{0!r} is not mapped", name),
			)
	if stream.writes not in WRITES:
		yield "writes", _("{0!r} is not one of {1}", stream.writes, ", ".join(WRITES))
	if stream.deletion_policy == "Disable":
		if stream.disable_field not in plain:
			yield "disable_field", _("{0} has no field {1!r}", stream.target_doctype, stream.disable_field)
		elif stream.value_of_returned == "":
			yield "enable_value", _("is needed: the value for a record that is in the source again")
		for field in ("disable_value", "value_of_returned") if stream.disable_field in plain else ():
			choices, value = fields[stream.disable_field].choices, str(getattr(stream, field))
			if choices and value not in choices:
				yield (
					"disable_value" if field == "disable_value" else "enable_value",
					_("{0!r} is not one of {1}", value, ", ".join(sorted(choices))),
				)
	if stream.write_mode not in ("Documents", "Bulk"):
		yield "write_mode", _("{0!r} is neither Documents nor Bulk", stream.write_mode)
	if stream.cancelled_documents not in ("Report Once", "Leave"):
		yield (
			"cancelled_documents",
			_("{0!r} is neither Report Once nor Leave", stream.cancelled_documents),
		)
	if stream.deletion_policy not in POLICIES:
		yield "deletion_policy", _("{0!r} is not one of {1}", stream.deletion_policy, ", ".join(POLICIES))


def _mapping(stream: StreamConfig, fields: Fields, context: StreamContext) -> Iterator[Problem]:
	if not fields:
		return
	if not (stream.mapping or stream.mapper):
		yield "mapping", _("is empty")
	tables = {row.field for row in stream.mapping if row.conversion == "Rows"}
	seen: set[str] = set()
	for number, row in enumerate(stream.mapping, 1):
		problems = [*_field(row, stream.target_doctype, fields, tables), *_value(row, context.transforms)]
		if not problems:
			leaf = _leaf(fields, row.field)
			mapped = {other.field for other in stream.mapping}
			problems = [*_link(row, leaf, context, mapped)] if row.conversion == "Link" else []
			problems += _rules(row)
			if row.as_is and (stream.write_mode != "Bulk" or leaf.fields):
				problems.append(_("{0!r}: As It Is is only for text that Bulk writes", row.field))
			if stream.write_mode == "Bulk" and leaf.kind == "Password":
				problems.append(_("{0!r} is a password, which Bulk would store as it is", row.field))
		if row.field in seen:
			problems.append(_("field {0!r} is mapped twice", row.field))
		seen.add(row.field)
		yield from (("mapping", _("row {0}: {1}", number, problem)) for problem in problems)
	if stream.write_mode == "Bulk":
		for name in sorted(name for name, field in fields.items() if field.required and name not in seen):
			yield "mapping", _("{0} requires {1!r}, which no row fills", stream.target_doctype, name)
	for table in sorted(tables & fields.keys()):
		if not any(name.startswith(f"{table}.") for name in seen):
			yield "mapping", _("no field of table {0!r} is mapped ({0}.fieldname)", table)


def _field(row: FieldMapping, doctype: str, fields: Fields, tables: set[str]) -> Iterator[str]:
	"""Say what is wrong with where a row leads to."""
	name, dot, child = row.field.partition(".")
	field = fields.get(name)
	if (child if dot else name) in KEPT_COLUMNS:
		yield _("{0!r} is set by the site itself, and no row can fill it", row.field)
	elif field is None:
		yield _("{0} has no field {1!r}", doctype, name)
	elif dot and child not in field.fields:
		yield _("table {0!r} of {1} has no field {2!r}", name, doctype, child)
	elif dot and name not in tables:
		yield _("table {0!r} needs a row of its own with conversion Rows", name)
	elif not dot and bool(field.fields) != (row.conversion == "Rows"):
		if field.fields:
			yield _("{0!r} is a table: it needs the conversion Rows", name)
		else:
			yield _("{0!r} is not a table: the conversion Rows is only for tables", name)
	elif row.conversion == "Link":
		yield from _is_link(row, _leaf(fields, row.field))


def _is_link(row: FieldMapping, field: Field) -> Iterator[str]:
	"""Say what is wrong with a Link to a field: only a stream knows the DocType that a dynamic link leads to."""
	named = all(doctype or by.startswith(STREAM) for doctype, by in alternatives(row.argument))
	if field.kind == DYNAMIC and not named:
		yield _(
			"{0!r} is a Dynamic Link, which names no DocType: use stream:NAME, or DocType = field", row.field
		)
	elif field.kind not in (DYNAMIC, "Link"):
		yield _("{0!r} is not a Link field", row.field)


def _leaf(fields: Fields, path: str) -> Field:
	name, _, child = path.partition(".")
	return fields[name].fields[child] if child else fields[name]


def _rules(row: FieldMapping) -> Iterator[str]:
	"""Say what is wrong with when a row is written, and with what happens where a link leads nowhere."""
	if row.only not in ONLY:
		yield _("{0!r}: {1!r} is not one of {2}", row.field, row.only, ", ".join(filter(None, ONLY)))
	elif row.only and "." in row.field:
		yield _("{0!r}: Only is for fields of the document; set it on the row of the table", row.field)
	if row.if_not_found not in FALLBACKS:
		known = ", ".join(filter(None, FALLBACKS))
		yield _("{0!r}: {1!r} is not one of {2}", row.field, row.if_not_found, known)
	elif row.if_not_found and row.conversion != "Link":
		yield _("{0!r}: If Not Found is only for the conversion Link", row.field)


def _link(row: FieldMapping, field: Field, context: StreamContext, mapped: set[str]) -> Iterator[str]:
	"""Say what is wrong with how the document of a link is found. mapped: the fields that rows lead to."""
	for doctype, by in alternatives(row.argument):
		if doctype and field.kind != DYNAMIC:
			yield _("{0!r} is not a Dynamic Link: its DocType is {1}", row.field, field.options)
			return
		if not doctype and field.kind != DYNAMIC:
			doctype = field.options
		elif doctype and f"{row.field.rpartition('.')[0]}.{field.options}".strip(".") not in mapped:
			yield _("{0!r}: {1!r} is not mapped, which says the DocType", row.field, field.options)
		yield from _found_by(row.field, doctype, by, context)


def _found_by(place: str, doctype: str, by: str, context: StreamContext) -> Iterator[str]:
	"""Say what is wrong with a way to find a document. doctype: "" where only the record says which."""
	if by.startswith(STREAM):
		name = by[len(STREAM) :].strip()
		target = context.target_of(name)
		if not target:
			yield _("{0!r}: stream {1!r} does not exist", place, name)
		elif doctype and target != doctype:
			yield _("{0!r}: stream {1!r} makes {2}, not {3}", place, name, target, doctype)
	elif by != "name" and (by not in (known := context.fields_of(doctype)) or known[by].fields):
		yield _("{0!r}: {1} has no field {2!r}", place, doctype, by)


def _value(row: FieldMapping, transforms: Mapping[str, str]) -> Iterator[str]:
	"""Say what is wrong with where a row's value comes from."""
	if row.source_path and (problem := path_problem(row.source_path)):
		yield problem
	if not row.source_path and not row.default_value:
		yield _("{0!r} has neither a source path nor a default", row.field)
	try:
		converter(row.conversion, row.argument, str, transforms)
	except (ValueError, ConfigurationError) as error:
		yield _("{0!r}: {1}", row.field, error)


def _schedule(stream: StreamConfig) -> Iterator[Problem]:
	if stream.schedule not in ("Default", "Interval", "Cron", "Off"):
		yield "schedule", _("{0!r} is not one of Default, Interval, Cron, Off", stream.schedule)
	if stream.schedule == "Interval" and stream.interval_minutes <= 0:
		yield "interval_minutes", _("must be above zero")
	if stream.schedule == "Cron" and not is_cron(stream.cron):
		yield "cron", _("{0!r} is not a cron expression", stream.cron[:LONGEST_CRON])
	elif stream.schedule == "Cron" and not next_times(stream.cron, datetime.now(), 1):
		yield "cron", _("{0!r} is never due", stream.cron)
