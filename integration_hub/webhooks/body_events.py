"""All events of a body: one, or one for each element of the lists that the settings name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from integration_hub.connectors.bounded_jmespath import PathTooCostly
from integration_hub.lazy_messages import _
from integration_hub.stores.inbox import Event
from integration_hub.stores.runtime import HubError
from integration_hub.sync.stream_slices import OUTER
from integration_hub.webhooks.bodies import json_text
from integration_hub.webhooks.event_secrets import check_event
from integration_hub.webhooks.events import Content, EventReader
from integration_hub.webhooks.splitting import Item, TooManyEvents, split, split_path

_MOST_CHARACTERS = 16_000_000  # of what events of one body keep: what stands around them is kept with each
_OUTER_TOO_LARGE = _(
	"The fields around the event are too large to be kept with each event of its body; they were left out."
)


def read_events(reader: EventReader, body: bytes, payload: Any, default_id: str = "") -> list[Event]:
	"""Return the events of a body, none of empty lists.

	An event that cannot be what the settings say of events is there all the same, and waits for a person: its sender would
	repeat the body as it is, and the others with it. Raises what is wrong with a body that is one event: HubError where it
	would be kept under a secret, PathTooCostly.
	"""
	path = _path(reader, payload)
	if not path:
		event = reader.read(reader.whole(body, payload, default_id))
		if reader.known:
			check_event(event, reader.known)
		return [event]
	try:
		items = split(payload, split_path(path))
	except TooManyEvents as error:
		return [reader.held(reader.whole(body, payload), str(error))]
	if len(items) == 1 and items[0].value is payload and items[0].problem:
		return [
			reader.held(reader.whole(body, payload), items[0].problem)
		]  # the lists are missing altogether
	return [_read(reader, content) for content in _contents(items, default_id, reader.config.keep_outer)]


def _path(reader: EventReader, payload: Any) -> str:
	"""Return the path of the lists in a payload, "" if it is one event. A list of CloudEvents is a batch of them."""
	if reader.config.event_format and isinstance(payload, list):
		return "[]"
	return reader.config.events_path.strip()


def _contents(items: Sequence[Item], default_id: str, keep_outer: bool) -> Iterator[Content]:
	texts = [json_text(_own(item.value)) for item in items]
	outers = {id(item.outer): json_text(item.outer) for item in items if item.outer}
	around = [outers.get(id(item.outer), "") for item in items]
	fits = sum(map(len, texts)) + sum(map(len, around)) <= _MOST_CHARACTERS
	for item, text, outer in zip(items, texts, around, strict=True):
		problem = item.problem or ("" if fits or not keep_outer else str(_OUTER_TOO_LARGE))
		kept = _with_outer(text, outer) if keep_outer and fits and isinstance(item.value, dict) else text
		yield Content(kept, _seen(item), _hash(text), _stand_in(text, outer, default_id), True, problem)


def _own(value: Any) -> Any:
	"""Return an element without what it has itself where the fields around it go."""
	return (
		{k: v for k, v in value.items() if k != OUTER}
		if isinstance(value, dict) and OUTER in value
		else value
	)


def _with_outer(text: str, outer: str) -> str:
	if not outer:
		return text
	return f'{text[:-1]}{", " if text != "{}" else ""}"{OUTER}": {outer}}}'


def _seen(item: Item) -> Any:
	"""Return what paths look into: the element, and around it what is there, however large."""
	return {**item.value, OUTER: item.outer} if item.outer and isinstance(item.value, dict) else item.value


def _stand_in(text: str, outer: str, default_id: str) -> str:
	"""Return what identifies an element that has no id: equal ones in different surroundings are different events."""
	own = _hash(f"{_hash(text)} {_hash(outer)}") if outer else _hash(text)
	return f"{default_id} | {own}" if default_id else own


def _hash(text: str) -> str:
	return hashlib.sha256(text.encode()).hexdigest()


def _read(reader: EventReader, content: Content) -> Event:
	try:
		event = reader.read(content)
		if reader.known:
			check_event(event, reader.known)
		return event
	except (HubError, PathTooCostly) as error:
		return reader.held(content, str(error))
