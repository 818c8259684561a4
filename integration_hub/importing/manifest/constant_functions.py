"""Functions, filters and methods of the CDK's Jinja, for constants.

Of the CDK's `macros.py` and `filters.py`. None as a function: its value depends on when it is called.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, quote_plus

from integration_hub.lazy_messages import _

_DURATION = re.compile(
	r"(?P<sign>-?)P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
	r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:\.\d+)?S)?)?",
	re.ASCII,
)
_SECONDS = {"years": 31_536_000, "months": 2_592_000, "weeks": 604_800, "days": 86_400}
_TIMES = {"hours": 3600, "minutes": 60, "seconds": 1}
_MOST_SECONDS = 100 * 31_536_000


def duration_seconds(text: str) -> int:
	"""Return the length of an ISO 8601 duration, a month taken for 30 days, a year for 365. Raises ValueError."""
	found = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
	if not found or text.strip() in ("P", "-P"):
		raise ValueError(_("{0!r} is not a duration like P1D", str(text)[:40]))
	seconds = sum(int(found[name] or 0) * each for name, each in {**_SECONDS, **_TIMES}.items())
	if seconds > _MOST_SECONDS:
		raise ValueError(_("{0!r} is longer than a hundred years", text[:40]))
	return -seconds if found["sign"] else seconds


def read_time(value: Any, format: str = "") -> datetime:
	"""Return a time in UTC; without a format, ISO 8601 or seconds since 1970. Raises ValueError."""
	if isinstance(value, datetime):
		return value
	text = str(value).strip()
	if format in ("%s", "%ms", "%s_as_float", "%epoch_microseconds") or isinstance(value, int | float):
		return datetime.fromtimestamp(float(text) / _EPOCHS.get(format, 1), timezone.utc)
	found = datetime.strptime(text, _python_format(format)) if format else _iso(text)
	return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


_EPOCHS = {"%ms": 1000, "%epoch_microseconds": 1_000_000}


def _python_format(format: str) -> str:
	return format.replace("%_ms", "%f")


def _iso(text: str) -> datetime:
	text = re.sub(r"Z$", "+00:00", text.strip())
	text = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text)
	text = re.sub(r"\.(\d{1,6})\d*", lambda found: "." + found[1].ljust(6, "0"), text)
	return datetime.fromisoformat(text)


def write_time(moment: datetime, format: str) -> str:
	"""Return a time in a format of the CDK (`%s`, `%ms` and `%_ms` besides Python's)."""
	if format in ("%s", "%ms", "%epoch_microseconds"):
		return str(int(moment.timestamp() * _EPOCHS.get(format, 1)))
	if format == "%s_as_float":
		return str(moment.timestamp())
	return moment.strftime(format.replace("%_ms", f"{moment.microsecond // 1000:03d}"))


def _format_datetime(value: Any, format: str, input_format: str = "") -> str:
	return write_time(read_time(value, input_format or ""), format)


def _timestamp(value: Any) -> float:
	return int(value) if isinstance(value, int | float) else read_time(value).timestamp()


def _snake(value: str) -> str:
	return re.sub(r"(?<!^)(?=[A-Z])", "_", value).lower()


FUNCTIONS: Mapping[str, Callable[..., Any] | None] = {
	"now_utc": None,
	"today_utc": None,
	"today_with_timezone": None,
	"day_delta": None,
	"generate_uuid": None,
	"duration": lambda text: timedelta(seconds=duration_seconds(text)),
	"timestamp": _timestamp,
	"format_datetime": _format_datetime,
	"str_to_datetime": read_time,
	"max": max,
	"min": min,
	"sanitize_url": quote_plus,
	"camel_case_to_snake_case": _snake,
}


def _join(values: Any, separator: str = "") -> str:
	return str(separator).join(str(value) for value in values)


def _hash(value: Any, kind: str = "md5", salt: str = "") -> str:
	if kind not in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
		raise ValueError(_("{0!r} is not a hash that is known", kind))
	return hashlib.new(kind, (str(value) + (salt or "")).encode(), usedforsecurity=False).hexdigest()


FILTERS: Mapping[str, Callable[..., Any]] = {
	"join": _join,
	"lower": lambda value: str(value).lower(),
	"upper": lambda value: str(value).upper(),
	"trim": lambda value: str(value).strip(),
	"int": lambda value, default=0: int(float(value)) if str(value).strip() else default,
	"float": lambda value, default=0.0: float(value) if str(value).strip() else default,
	"string": str,
	"length": len,
	"count": len,
	"first": lambda value: value[0],
	"last": lambda value: value[-1],
	"list": list,
	"tojson": json.dumps,
	"urlencode": lambda value: quote(str(value), safe="/"),
	"replace": lambda value, old, new: str(value).replace(old, new),
	"abs": abs,
	"round": round,
	"sort": sorted,
	"unique": lambda value: list(dict.fromkeys(value)),
	"hash": _hash,
	"base64encode": lambda value: b64encode(value.encode()).decode(),
	"base64decode": lambda value: b64decode(value.encode()).decode(),
}
METHODS: Mapping[str, Callable[..., Any]] = {
	"strftime": write_time,
	"lower": lambda value: str(value).lower(),
	"upper": lambda value: str(value).upper(),
	"strip": lambda value, *chars: str(value).strip(*chars),
	"lstrip": lambda value, *chars: str(value).lstrip(*chars),
	"rstrip": lambda value, *chars: str(value).rstrip(*chars),
	"replace": lambda value, old, new: str(value).replace(old, new),
	"split": lambda value, *at: str(value).split(*at),
	"join": lambda separator, values: _join(values, separator),
	"startswith": lambda value, start: str(value).startswith(start),
	"endswith": lambda value, end: str(value).endswith(end),
	"keys": lambda value: list(value),
	"values": lambda value: list(value.values()),
	"items": lambda value: [list(pair) for pair in value.items()],
	"timestamp": lambda value: value.timestamp(),
	"isoformat": lambda value: value.isoformat(),
}
TESTS: Mapping[str, Callable[[Any], bool]] = {
	"defined": lambda value: True,
	"undefined": lambda value: False,
	"none": lambda value: value is None,
	"string": lambda value: isinstance(value, str),
	"number": lambda value: isinstance(value, int | float),
	"mapping": lambda value: isinstance(value, Mapping),
	"sequence": lambda value: isinstance(value, list | str),
	"iterable": lambda value: isinstance(value, list | str | Mapping),
	"true": lambda value: value is True,
	"false": lambda value: value is False,
}
