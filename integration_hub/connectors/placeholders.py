"""Text with placeholders, as settings write requests: `/customers/{parent.id}/orders?since={since:epoch}`.

A placeholder is `{name}`, `{name:format}`, `{name|default}` or `{name:format|default}`. Braces that hold anything else,
such as JSON's, are text; `{{name}}` is the text `{name}`. There are no expressions, loops or calls, so a template costs what its text is long and reaches only the values
it is given.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from integration_hub.connectors.time_bounds import TimeBound, names_no_zone, precision_of, zone_of
from integration_hub.lazy_messages import _

Quote = Callable[[str], str]

_TOKEN = re.compile(r"\{(?P<text>\{[A-Za-z_][^{}]*\})\}|\{(?P<inner>[A-Za-z_][^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.(?:\^|[A-Za-z0-9_-]+))*")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ISO = {"iso": "seconds", "iso_ms": "milliseconds", "iso_us": "microseconds"}
_EPOCHS = {"epoch": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}
_TEXTS: Mapping[str, Callable[[str], str]] = {
	"raw": str,
	"lower": str.lower,
	"upper": str.upper,
	"url": lambda text: quote(text, safe=""),
	"base64": lambda text: b64encode(text.encode()).decode(),
}
_TYPES = ("int", "number", "text", "json")


class TemplateError(ValueError):
	"""A template that cannot be read, or a value that a format does not fit; the text names the placeholder."""


@dataclass(frozen=True)
class Placeholder:
	"""One placeholder: the path of its value, its format and zone ("" for none), and its default (None for none)."""

	name: str
	format: str = ""
	zone: str = ""
	default: str | None = None

	@property
	def root(self) -> str:
		"""Return the first part of the name: `parent` of `parent.id`."""
		return self.name.partition(".")[0]

	def __str__(self) -> str:
		zone = f"@{self.zone}" if self.zone else ""
		format = f":{self.format}{zone}" if self.format or zone else ""
		default = "" if self.default is None else f"|{self.default}"
		return f"{{{self.name}{format}{default}}}"


@dataclass(frozen=True)
class Template:
	"""A text made of literal parts and placeholders. `Template.read` makes one."""

	parts: tuple[str | Placeholder, ...]

	@classmethod
	def read(cls, text: str) -> Template:
		"""Read a template. Raises TemplateError for a name that is none, an unknown format or time zone."""
		return cls(tuple(_merged(_parts(text))))

	@property
	def placeholders(self) -> tuple[Placeholder, ...]:
		"""Return the placeholders of the text, in order."""
		return tuple(part for part in self.parts if isinstance(part, Placeholder))

	def uses(self, name: str) -> bool:
		"""Tell whether a placeholder of this name, or of something within it (`parent` for `parent.id`), is there."""
		return any(name in (place.name, place.root) for place in self.placeholders)

	def text(self, values: Mapping[str, Any], quoted: Quote = str) -> str | None:
		"""Return the text with each placeholder's value; None if one of them has no value and no default.

		quoted: applied to each value, not to the literal text nor to what the format `raw` writes.
		Raises TemplateError where a value does not fit its format.
		"""
		found: list[str] = []
		for part in self.parts:
			if isinstance(part, str):
				found.append(part)
				continue
			value = _formatted(part, values)
			if value is None:
				return None
			found.append(str(value) if part.format == "raw" else _quoted(part, value, quoted))
		return "".join(found)

	def value(self, values: Mapping[str, Any]) -> Any:
		"""Return the value of a template that is one placeholder, in its own type; of any other its text.

		None if there is no value and no default. Raises TemplateError.
		"""
		if len(self.parts) == 1 and isinstance(self.parts[0], Placeholder):
			return _formatted(self.parts[0], values)
		return self.text(values)


def path_text(template: Template, values: Mapping[str, Any]) -> str | None:
	"""Return a template as part of a URL: values are percent-encoded, slashes in them too (RFC 3986, 2.2)."""
	return template.text(values, lambda text: quote(text, safe=""))


def read_tree(tree: Any) -> Any:
	"""Return JSON whose strings, keys excepted, are read as templates. Raises TemplateError."""
	if isinstance(tree, str):
		return Template.read(tree)
	if isinstance(tree, Mapping):
		return {name: read_tree(value) for name, value in tree.items()}
	if isinstance(tree, list):
		return [read_tree(value) for value in tree]
	return tree


def filled_tree(tree: Any, values: Mapping[str, Any]) -> Any:
	"""Return what `read_tree` made with its values. Keys and elements whose placeholder has no value are left out."""
	if isinstance(tree, Template):
		return tree.value(values)
	if isinstance(tree, Mapping):
		filled = {name: filled_tree(value, values) for name, value in tree.items()}
		return {name: value for name, value in filled.items() if value is not None or tree[name] is None}
	if isinstance(tree, list):
		filled = [filled_tree(value, values) for value in tree]
		return [
			value for value, given in zip(filled, tree, strict=True) if value is not None or given is None
		]
	return tree


def placeholders_in(tree: Any) -> Iterator[Placeholder]:
	"""Return the placeholders of what `read_tree` made."""
	if isinstance(tree, Template):
		yield from tree.placeholders
	elif isinstance(tree, Mapping | list):
		for value in tree.values() if isinstance(tree, Mapping) else tree:
			yield from placeholders_in(value)


def escaped(text: str) -> str:
	"""Return a template that is this text, whatever braces stand in it."""
	return re.sub(r"\{[A-Za-z_][^{}]*\}", r"{\g<0>}", text)


def unknown_placeholder(found: Iterable[Placeholder], known: Sequence[str]) -> str | None:
	"""Return what is wrong with the first placeholder that names nothing known, None if each does.

	known: names; one that ends with a dot (`parent.`) stands for all that is within it.
	"""
	for place in found:
		if not any(place.name == name or (name[-1] == "." and place.name.startswith(name)) for name in known):
			named = ", ".join(f"{{{name}…}}" if name[-1] == "." else f"{{{name}}}" for name in known)
			return _("{0} is not a placeholder; there are {1}", f"{{{place.name}}}", named)
	return None


def _parts(text: str) -> Iterator[str | Placeholder]:
	end = 0
	for match in _TOKEN.finditer(text):
		yield text[end : match.start()]
		end = match.end()
		yield match["text"] or _placeholder(match["inner"])
	yield text[end:]


def _merged(parts: Iterable[str | Placeholder]) -> Iterator[str | Placeholder]:
	"""Join neighboring literals, and drop empty ones."""
	literal = ""
	for part in parts:
		if isinstance(part, str):
			literal += part
			continue
		if literal:
			yield literal
		literal = ""
		yield part
	if literal:
		yield literal


def _placeholder(inner: str) -> Placeholder:
	head, bar, default = inner.partition("|")
	name, _colon, format = head.partition(":")
	name = name.strip()
	if not _NAME.fullmatch(name):
		raise TemplateError(
			_("{0} is not a placeholder (as text, write it with two braces on each side)", f"{{{inner}}}")
		)
	format, _at, zone = format.strip().rpartition("@") if "@" in format else (format.strip(), "", "")
	place = Placeholder(name, format, zone, default if bar else None)
	_check_format(place)
	return place


def _check_format(place: Placeholder) -> None:
	known = ["", *_ISO, *_EPOCHS, "date", *_TEXTS, *_TYPES]
	if place.format not in known and "%" not in place.format:
		formats = ", ".join(filter(None, known))
		raise TemplateError(
			_("{0}: {1!r} is not a format; there are {2}, or one like %Y-%m-%d", place, place.format, formats)
		)
	if place.zone:
		_zone(place)
		if place.format in (*_TEXTS, *_TYPES, *_EPOCHS):
			raise TemplateError(_("{0}: only times that are written out have a zone", place))


def _zone(place: Placeholder) -> ZoneInfo:
	try:
		return ZoneInfo(place.zone)
	except (ZoneInfoNotFoundError, ValueError, OSError):
		raise TemplateError(
			_("{0}: {1!r} is not a time zone (like Europe/Berlin)", place, place.zone)
		) from None


def _formatted(place: Placeholder, values: Mapping[str, Any]) -> Any:
	"""Return the value of a placeholder in its format, its default if there is none, None without one."""
	value = _at(values, place.name)
	if value is None or value == "":
		return place.default
	if isinstance(value, TimeBound):
		return _bound(place, value)
	if place.format in _TEXTS:
		return _quoted(place, value, _TEXTS[place.format])
	if place.format in _TYPES:
		return _typed(place, value)
	if place.format or place.zone:
		return _time(place, _moment(place, value))
	return value


def _at(values: Mapping[str, Any], name: str) -> Any:
	found: Any = values
	for part in name.split("."):
		if isinstance(found, Mapping):
			found = found.get(part)
		elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
			found = found[int(part)]
		else:
			return None
	return found


def _as_text(value: Any) -> str:
	if isinstance(value, str):
		return value
	if isinstance(value, bool) or value is None or isinstance(value, Mapping | list):
		return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
	return str(value)


def _quoted(place: Placeholder, value: Any, quoted: Quote) -> str:
	try:
		return quoted(_as_text(value))
	except UnicodeEncodeError:  # half of a character, which JSON can write and no encoding knows
		raise TemplateError(_("{0}: the value is not text", place)) from None


def _typed(place: Placeholder, value: Any) -> Any:
	if place.format == "text":
		return _as_text(value)
	if place.format == "json":
		return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
	try:
		number = json.loads(_as_text(value))
		if isinstance(number, bool) or not isinstance(number, int | float):
			raise ValueError
		return int(number) if place.format == "int" else number
	except (ValueError, OverflowError):
		raise TemplateError(_("{0}: the value is not a number", place)) from None


def _moment(place: Placeholder, value: Any) -> datetime:
	"""Return a time as the engine writes it (UTC, ISO 8601). Raises TemplateError."""
	try:
		moment = (
			value
			if isinstance(value, datetime)
			else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
		)
	except ValueError:
		raise TemplateError(_("{0}: the value is not a time", place)) from None
	return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _time(place: Placeholder, moment: datetime) -> Any:
	"""Return a time in a format. What the format leaves out is cut off: never a later time than was meant."""
	if place.format in _EPOCHS:
		return (moment - _EPOCH) // timedelta(microseconds=1) * _EPOCHS[place.format] // 1_000_000
	try:
		local = moment.astimezone(_zone(place) if place.zone else timezone.utc)
	except OverflowError:
		raise TemplateError(_("{0}: the value is out of range", place)) from None
	if place.format == "date":
		return local.date().isoformat()
	if place.format in _ISO or not place.format:
		text = local.isoformat(timespec=_ISO.get(place.format, "seconds"))
		return text if place.zone else text.replace("+00:00", "Z")
	return _strftime_of(place, local)


def _bound(place: Placeholder, bound: TimeBound) -> Any:
	"""Return a bound of time in a format: with the precision that it has, in the source's zone where it names none."""
	if place.format in (*_TEXTS, *_TYPES) or not (place.format or place.zone):
		return _formatted(place, {place.name: bound.text})
	try:
		return _bound_text(place, bound, zone_of(place.zone or bound.zone))
	except OverflowError:
		raise TemplateError(_("{0}: the value is out of range", place)) from None


def _bound_text(place: Placeholder, bound: TimeBound, zone: tzinfo) -> Any:
	moment = bound.limit(precision_of(place.format), zone)
	if not names_no_zone(place.format):
		return _time(place, moment)
	local = bound.local(moment, zone)
	return local.date().isoformat() if place.format == "date" else _strftime_of(place, local)


def _strftime_of(place: Placeholder, moment: datetime) -> str:
	try:
		return _strftime(moment, place.format)
	except ValueError:
		raise TemplateError(_("{0}: {1!r} is not a format of times", place, place.format)) from None


def _strftime(moment: datetime, format: str) -> str:
	"""Write a time by a format; `%Y` has four digits on every system, and `%3f` is milliseconds."""
	format = format.replace("%3f", f"{moment.microsecond // 1000:03d}")
	return moment.strftime(format.replace("%Y", f"{moment.year:04d}"))
