"""The identity of an event: its id, type and time, where the sender puts them, and which of them are signed."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, PathTooCostly, search
from integration_hub.connectors.composed_paths import ComposedPath, composed_path
from integration_hub.connectors.config import IntegrationConfig, header_names
from integration_hub.connectors.header_fields import header_mentions, is_header, with_header_fields
from integration_hub.sync.stream_slices import OUTER
from integration_hub.sync.times import utc_text_of
from integration_hub.webhooks.places import Places

Headers = Mapping[str, str]


@dataclass
class Identity:
	"""The parts found in a request. complete: every part of the id is there. unsigned: parts from unsigned headers.

	of_delivery: the id is made of nothing but what the events of a body share: headers, and what stands around them.
	"""

	event_id: str = ""
	event_type: str = ""
	time: str = ""
	complete: bool = True
	of_delivery: bool = False
	unsigned: list[str] = field(default_factory=list)


def identify(headers: Headers, payload: Any, places: Places, signed: Container[str]) -> Identity:
	"""Look up id, type and time. signed: the headers that are as proven as the body. Raises PathTooCostly."""
	found = Identity()
	look = _look_all if places.joined else _look_first
	parts, used, within = look(headers, places.id_headers, payload, places.id_path, _distinct)
	found.complete = all(parts)
	found.of_delivery = not within or _is_shared(places.id_path)
	found.event_id = _joined([part for part in parts if part])
	_note(found, "id", used, signed)
	[found.event_type], used, _ = _look_first(headers, places.type_headers, payload, places.type_path)
	_note(found, "type", used, signed)
	[time], used, _ = _look_first(headers, places.time_headers, payload, places.time_path)
	found.time = _time(time)
	if found.time:
		_note(found, "time", used, signed)
	return found


def places_of(config: IntegrationConfig, places: Places) -> Places:
	"""Return a sender's places with what the settings say of id, type or time in their stead."""
	if config.event_id_header or config.event_id_path:
		named = header_names(config.event_id_header)
		places = replace(places, id_headers=named, id_path=config.event_id_path)
	if config.event_type_header or config.event_type_path:
		named = header_names(config.event_type_header)
		places = replace(places, type_headers=named, type_path=config.event_type_path)
	if config.event_time_header or config.event_time_path:
		named = header_names(config.event_time_header)
		places = replace(places, time_headers=named, time_path=config.event_time_path)
	return replace(places, joined=True) if config.event_id_source == "Header and Path" else places


def scalar(payload: Any, path: str, headers: Headers | None = None) -> str:
	"""Return the text or number at a path as text, "" if there is none; of a list, what it holds, joined.

	headers: those that a path may name, as `header.X-Topic`.
	Raises PathTooCostly, which is the settings' fault and not the sender's.
	"""
	return _joined(_values(with_header_fields(payload, headers or {}, path), path, ComposedPath.text))


Compose = Callable[[ComposedPath, list[str]], str]


def _distinct(composed: ComposedPath, values: list[str]) -> str:
	return composed.distinct_text(values) if all(values) else ""


def _values(payload: Any, path: str, compose: Compose) -> list[str]:
	"""Return what is at a path as text; the members of a list, "" for those that are neither text nor number."""
	if "{" in path and (composed := composed_path(path)):
		return [compose(composed, [_joined(_found(payload, part)) for part in composed.paths])]
	return _found(payload, path)


def _found(payload: Any, path: str) -> list[str]:
	if not path:
		return []
	try:
		value = search(path, payload)
	except PathTooCostly as error:
		raise PathTooCostly(f"{path[:80]!r}: {error}") from None
	except PathError:
		return [""]
	return [_text(item) for item in value] if isinstance(value, list) else [_text(value)]


def _text(value: Any) -> str:
	if isinstance(value, bool) or not isinstance(value, str | int | float):
		return ""
	try:
		return _storable(str(value))
	except ValueError:  # a sum may have more digits than Python writes
		return ""


def _storable(text: str) -> str:
	return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


_BETWEEN = re.compile(r"[\[\],|\s]+")  # the values of a JMESPath that selects several


@lru_cache(1000)
def _is_shared(path: str) -> bool:
	composed = composed_path(path) if "{" in path else None
	parts = composed.paths if composed else tuple(filter(None, _BETWEEN.split(path)))
	return all(part.startswith(OUTER) or is_header(part) for part in parts)


Looked = tuple[list[str], list[str], bool]


def _look_first(
	headers: Headers, names: Sequence[str], payload: Any, path: str, compose: Compose = ComposedPath.text
) -> Looked:
	"""Return what the first header holds that is there, else what the path leads to; the headers that were used; and
	whether the body was.
	"""
	for name in names:
		if found := _storable(headers.get(name) or ""):
			return [found], [name], False
	parts, used, within = _look_within(headers, payload, path, compose)
	return (parts if all(parts) and parts else [""]), used, within


def _look_all(
	headers: Headers, names: Sequence[str], payload: Any, path: str, compose: Compose = ComposedPath.text
) -> Looked:
	"""Return what headers and path hold, "" for what is missing; the headers; and whether the body was used."""
	parts, used, within = _look_within(headers, payload, path, compose)
	return [*(_storable(headers.get(name) or "") for name in names), *parts], [*names, *used], within


def _look_within(headers: Headers, payload: Any, path: str, compose: Compose) -> Looked:
	"""Return what a path leads to in the body, and among the headers that it names."""
	named = header_mentions(path)
	if not named:
		return _values(payload, path, compose), [], bool(path)
	parts = _values(with_header_fields(payload, headers, path), path, compose)
	return parts, [name for name in named if name in headers], True


def _joined(parts: Sequence[str]) -> str:
	"""Return parts as one text; no two different lists of parts make the same."""
	if len(parts) < 2:
		return "".join(parts)
	return " | ".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)


def _note(found: Identity, what: str, used: Sequence[str], signed: Container[str]) -> None:
	if any(name not in signed for name in used):
		found.unsigned.append(what)


def _time(text: str) -> str:
	"""Return a time that a sender wrote as UTC text, "" where it is none."""
	value: Any = text
	for number in (int, float):
		try:
			value = number(text)
			break
		except ValueError:
			continue
	try:
		return utc_text_of(value) if text else ""
	except (ValueError, OverflowError):
		return ""
