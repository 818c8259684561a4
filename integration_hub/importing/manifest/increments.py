"""`DatetimeBasedCursor`, as a stream's mode, its watermark and its windows of time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from integration_hub.importing.manifest.components import Component
from integration_hub.importing.manifest.constant_functions import duration_seconds, read_time, write_time
from integration_hub.importing.manifest.conversion import Conversion
from integration_hub.importing.manifest.draft import Draft
from integration_hub.importing.manifest.expressions import Expr, Unconverted, evaluated, text_of
from integration_hub.importing.manifest.jmespath_text import literal
from integration_hub.importing.manifest.placeholder_text import Place, time_format
from integration_hub.importing.manifest.secret_marks import secret_names
from integration_hub.lazy_messages import _

_ALL_TIME = "5200w"  # one window that ends now
_DAY = 86_400


def increment(conversion: Conversion, stream: Component, retriever: Component, draft: Draft) -> None:
	"""Write a stream's cursor into it, before its request is written; complaints for what has no equal."""
	cursor = stream.child("incremental_sync")
	if cursor is None:
		return
	if cursor.type != "DatetimeBasedCursor":
		if "class_name" in cursor.own:
			cursor.complain(_("carries code of its own ({0})", str(cursor.own["class_name"])[:80]))
		else:
			cursor.complain(_("{0} has no equal", cursor.type))
		return
	cursor.complain_of("clamping")
	draft.settings["_cursor_field"] = conversion.text(cursor, "cursor_field")
	_formats(conversion, cursor, draft)
	format = conversion.text(cursor, "datetime_format", "%Y-%m-%dT%H:%M:%S.%f%z")
	start = _time(conversion, cursor, "start_datetime", format)
	if start is None:
		return
	_windows(conversion, cursor, retriever, draft, start)
	_bounds(conversion, cursor, draft, format, start)
	if lookback := conversion.text(cursor, "lookback_window"):
		draft.settings["overlap_seconds"] = _seconds(cursor, "lookback_window", lookback)


def _formats(conversion: Conversion, cursor: Component, draft: Draft) -> None:
	"""Note how records write their time, where that is no ISO 8601."""
	formats = [
		text_of(one) for one in cursor.get("cursor_datetime_formats") or [cursor.get("datetime_format")]
	]
	draft.settings["_cursor_formats"] = [one for one in formats if one]


def _windows(
	conversion: Conversion, cursor: Component, retriever: Component, draft: Draft, start: datetime
) -> None:
	"""Fetch by windows where requests have an end, or where the manifest has steps."""
	requester = json.dumps(retriever.get("requester"), default=str)
	end_name = conversion.text(cursor, "partition_field_end") or "end_time"
	step = conversion.text(cursor, "step")
	if not (step or cursor.has("end_time_option") or end_name in requester):
		return
	draft.settings["window"] = _window(_seconds(cursor, "step", step)) if step else _ALL_TIME
	draft.settings["window_start"] = write_time(start, "%Y-%m-%dT%H:%M:%SZ")
	if end := _end(conversion, cursor):
		draft.settings["window_end"] = end


def _window(seconds: int) -> str:
	for unit, size in (("d", _DAY), ("h", 3600), ("m", 60)):
		if seconds % size == 0 and seconds:
			return f"{seconds // size}{unit}"
	return f"{max(seconds, 1)}s"


def _seconds(cursor: Component, field: str, text: str) -> int:
	try:
		return duration_seconds(text)
	except ValueError as error:
		cursor.complain(str(error), field)
		return 0


def _end(conversion: Conversion, cursor: Component) -> str:
	"""Return a fixed end of time, "" for now."""
	if not cursor.has("end_datetime"):
		return ""
	found = _time_or_now(conversion, cursor, "end_datetime", "")
	if found is None:
		return ""
	if isinstance(found, timedelta):
		if found < -timedelta(seconds=1):
			cursor.complain(_("an end before now that moves has no equal"), "end_datetime")
		return ""
	return write_time(found, "%Y-%m-%dT%H:%M:%SZ")


def _time(conversion: Conversion, cursor: Component, field: str, format: str) -> datetime | None:
	found = _time_or_now(conversion, cursor, field, format)
	if isinstance(found, timedelta):  # the first run begins there; later ones at the watermark
		return datetime.now(timezone.utc).replace(microsecond=0) + found
	return found


def _time_or_now(
	conversion: Conversion, cursor: Component, field: str, format: str
) -> datetime | timedelta | None:
	"""Return a MinMaxDatetime: a time, or how far from now; None after a complaint."""
	value, one = cursor.get(field), cursor
	formats = [text_of(cursor.get("datetime_format"))]
	if isinstance(value, dict):
		one = cursor.child(field) or cursor
		formats = [text_of(one.get("datetime_format")), *formats]
		value = one.get("datetime")
	try:
		found = moment_of(evaluated(value, conversion.scope(one)), formats)
		return _limited(conversion, one, found)
	except (Unconverted, ValueError, OverflowError) as error:
		one.complain(str(error), field)
		return None


def _limited(conversion: Conversion, one: Component, found: Any) -> Any:
	"""Return a time within its least and greatest, which are compared as of now."""
	for field, choose in (("min_datetime", max), ("max_datetime", min)):
		if one.type == "MinMaxDatetime" and (value := one.own.get(field)):
			limit = moment_of(evaluated(value, conversion.scope(one)), [text_of(one.get("datetime_format"))])
			now = datetime.now(timezone.utc)
			times = [now + part if isinstance(part, timedelta) else part for part in (found, limit)]
			found = choose(times)
	return found


def moment_of(found: Any, formats: list[str]) -> datetime | timedelta:
	"""Return the time that a constant says, or how far from now an expression is. Raises ValueError."""
	if isinstance(found, Expr):
		return _from_now(found)
	if found is None or text_of(found) == "":
		raise ValueError(_("is empty"))
	if secret_names(found):
		raise ValueError(_("a secret stands in it, which only credentials may hold"))
	for format in (*filter(None, formats), ""):
		try:
			return read_time(found, format)
		except (ValueError, OverflowError, OSError):
			continue
	raise ValueError(_("{0!r} is not a time", text_of(found)[:60]))


def _from_now(found: Any) -> timedelta:
	"""Return how far from now an expression is. Raises Unconverted."""
	if isinstance(found, Expr):
		name, args = found.op, found.args
		if name == "call" and args[0] in ("now_utc", "today_utc", "today_with_timezone"):
			return timedelta()
		if name == "call" and args[0] == "day_delta" and isinstance(args[1][0], int | float):
			return timedelta(days=args[1][0])
		if name == "call" and args[0] in ("format_datetime", "timestamp", "str_to_datetime", "max", "min"):
			return _from_now(next((one for one in args[1] if isinstance(one, Expr)), None))
		if name in ("method", "filter"):
			return _from_now(args[0])
		if name in ("+", "-") and isinstance(args[1], timedelta):
			return _from_now(args[0]) + (args[1] if name == "+" else -args[1])
	raise Unconverted(_("is known only while requests are made"))


def _bounds(conversion: Conversion, cursor: Component, draft: Draft, format: str, start: datetime) -> None:
	"""Say what `start_time` and `end_time` of the slice stand for, and send them where the options say."""
	try:
		default = "" if draft.settings.get("window") else write_time(start, format)
		since, until = Place("since", time_format(format), default), Place("until", time_format(format))
	except Unconverted as error:
		cursor.complain(str(error), "datetime_format")
		return
	draft.state = {draft.settings["_cursor_field"]: replace(since, default="")}
	names = conversion.text(cursor, "partition_field_start"), conversion.text(cursor, "partition_field_end")
	draft.places[(names[0] or "start_time",)] = since
	draft.places[(names[1] or "end_time",)] = until
	draft.starts = {(names[0] or "start_time",): literal(write_time(start, format))}
	if draft.settings.get("window"):
		draft.paths[(names[0] or "start_time",)] = _bound_path("since", format)
		draft.paths[(names[1] or "end_time",)] = _bound_path("until", format)
	for field, place in (("start_time_option", since), ("end_time_option", until)):
		if option := cursor.child(field):
			draft.inject(conversion, option, place.text())


def _bound_path(name: str, format: str) -> str:
	"""Return where a record has a bound of its window, as the manifest writes it, as far as that is a part of ISO 8601."""
	path, pattern = f"^.slice.{name}", _PARTS.get(format)
	if format == "%Y%m%d":
		return f"replace(extract({path}, '^(.{{10}})'), '-', '')"
	return path if format == "%Y-%m-%dT%H:%M:%SZ" else f"extract({path}, '{pattern}')" if pattern else ""


_PARTS = {"%Y-%m-%d": "^(.{10})", "%Y-%m-%dT%H:%M:%S": "^(.{19})", "%Y-%m": "^(.{7})", "%Y": "^(.{4})"}


def settle(stream: Component, draft: Draft) -> None:
	"""Say in which mode a stream runs, once its request is written."""
	field = draft.settings.pop("_cursor_field", "")
	formats = draft.settings.pop("_cursor_formats", [])
	if not draft.uses("parent") and not any("^" in path for path in draft.virtual.values()):
		draft.settings.pop("parent_stream", None)  # each parent would give the same list
		draft.settings.pop("parent_changed_only", None)
	draft.settings["mode"] = "Full"
	if not field:
		return
	draft.settings["updated_at_path"] = draft.virtual.get(field) or field_path(field)
	draft.settings["updated_at_format"], is_one = record_format(formats)
	if draft.uses("since") or draft.uses("until"):
		draft.settings |= {"mode": "Incremental", "changed_since_param": ""}
		if not is_one:
			stream.complain(_("times of records in several formats have no equal"), "incremental_sync")
		return
	for name in ("window", "window_start", "window_end", "overlap_seconds", *(() if is_one else _READS)):
		draft.settings.pop(name, None)


_READS = ("updated_at_path", "updated_at_format")
_ISO = re.compile(r"%Y-%m-%d([T ]%H:%M(:%S([.,](%f|%_ms|000))?)?( ?(Z|%z|%Z|[+]00:?00))?)?")
_UNITS = {"%s": "s", "%ms": "ms", "%epoch_microseconds": "us", "%s_as_float": "s"}


def record_format(formats: list[str]) -> tuple[str, bool]:
	"""Return how records write their times, as a stream's setting, and whether one setting says all of them."""
	others = [one for one in formats if not _ISO.fullmatch(one)]
	if not others:
		return "", True
	if len(formats) > len(others) and all(one in ("%s", "%ms") for one in others):
		return "", True  # numbers of either size are known beside ISO 8601
	if len(set(formats)) == 1:
		return _UNITS.get(others[0], others[0].replace("%_ms", "%f")), True
	return "", set(others) <= {"%s", "%ms"}


def field_path(field: str) -> str:
	"""Return the path of a top-level field, whatever its name is."""
	return field if field.isidentifier() and field.isascii() else json.dumps(field)
