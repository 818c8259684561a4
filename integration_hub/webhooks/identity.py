"""The identity of an event: its id, type and time, where the sender puts them, and which of them are signed."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathError, PathTooCostly, search
from integration_hub.connectors.config import IntegrationConfig, header_names
from integration_hub.sync.times import utc_text_of
from integration_hub.webhooks.places import Places

Headers = Mapping[str, str]


@dataclass
class Identity:
	"""The parts found in a request. complete: every part of the id is there. unsigned: parts from unsigned headers."""

	event_id: str = ""
	event_type: str = ""
	time: str = ""
	complete: bool = True
	unsigned: list[str] = field(default_factory=list)


def identify(headers: Headers, payload: Any, places: Places, signed: Container[str]) -> Identity:
	"""Look up id, type and time. signed: the headers that are as proven as the body. Raises PathTooCostly."""
	found = Identity()
	look = _look_all if places.joined else _look_first
	parts, used = look(headers, places.id_headers, payload, places.id_path)
	found.complete = all(parts)
	found.event_id = _joined([part for part in parts if part])
	_note(found, "id", used, signed)
	[found.event_type], used = _look_first(headers, places.type_headers, payload, places.type_path)
	_note(found, "type", used, signed)
	[time], used = _look_first(headers, places.time_headers, payload, places.time_path)
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


def scalar(payload: Any, path: str) -> str:
	"""Return the text or number at a path as text, "" if there is none; of a list, what it holds, joined.

	Raises PathTooCostly, which is the settings' fault and not the sender's.
	"""
	return _joined(_values(payload, path))


def _values(payload: Any, path: str) -> list[str]:
	"""Return what is at a path as text; the members of a list, "" for those that are neither text nor number."""
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


def _look_first(
	headers: Headers, names: Sequence[str], payload: Any, path: str
) -> tuple[list[str], list[str]]:
	"""Return what the first header holds that is there, else what the path leads to; and the headers that were used."""
	for name in names:
		if found := _storable(headers.get(name) or ""):
			return [found], [name]
	parts = _values(payload, path)
	return (parts if all(parts) and parts else [""]), []


def _look_all(headers: Headers, names: Sequence[str], payload: Any, path: str) -> tuple[list[str], list[str]]:
	"""Return what headers and path hold, "" for what is missing; and the headers."""
	return [*(_storable(headers.get(name) or "") for name in names), *_values(payload, path)], list(names)


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
