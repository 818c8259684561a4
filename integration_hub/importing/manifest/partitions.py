"""Partition routers, as parent streams and lists of values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, product
from typing import Any

from integration_hub.importing.field_names import field_name
from integration_hub.importing.manifest.components import Component
from integration_hub.importing.manifest.conversion import Conversion
from integration_hub.importing.manifest.draft import Draft
from integration_hub.importing.manifest.expressions import text_of
from integration_hub.importing.manifest.placeholder_text import Place
from integration_hub.importing.manifest.secret_marks import secret_names
from integration_hub.lazy_messages import _

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.(\^|[A-Za-z0-9_-]+))*")
_MOST_VALUES = 1000
_MOST_STEPS = 4
Parent = Callable[[Component], Draft | None]


def partition(conversion: Conversion, retriever: Component, draft: Draft, parent_of: Parent) -> None:
	"""Write a retriever's partition routers into a stream; complaints for what has no equal.

	parent_of: makes, or finds, the stream of a parent.
	"""
	for router in retriever.children("partition_router"):
		if router.type == "ListPartitionRouter":
			_values(conversion, router, draft)
		elif router.type == "SubstreamPartitionRouter":
			_parents(conversion, router, draft, parent_of)
		elif "class_name" in router.own:
			router.complain(_("carries code of its own ({0})", str(router.own["class_name"])[:80]))
		else:
			router.complain(_("{0} has no equal", router.type or "?"))
	write_values(retriever, draft)


def _values(conversion: Conversion, router: Component, draft: Draft) -> None:
	values = conversion.constant(router, "values")
	if isinstance(values, list):
		values = [text_of(conversion.constant_of(router, value, "", "values")) for value in values]
	if not isinstance(values, list) or secret_names(values) or any("\n" in one for one in values):
		router.complain(_("{0!r} is not a list of values", text_of(values)[:60]), "values")
		return
	name = conversion.text(router, "cursor_field")
	draft.lists[name] = values
	draft.places[(name,)], draft.paths[(name,)] = Place("slice.value"), "^.slice.value"
	option = router.child("request_option")
	if len(draft.lists) > 1:
		_combined(draft)
	if option:
		draft.inject(conversion, option, draft.places[(name,)].text())


def _combined(draft: Draft) -> None:
	"""Have several lists of values be one, of all their combinations, by name."""
	for name in draft.lists:
		field = field_name(name)
		draft.rename("{slice.value}", f"{{slice.{field}}}")
		draft.places[(name,)], draft.paths[(name,)] = Place(f"slice.{field}"), f"^.slice.{field}"


def write_values(router: Component, draft: Draft) -> None:
	"""Write the lists of values into the stream."""
	if len(draft.lists) == 1:
		draft.settings["slice_values"] = "\n".join(next(iter(draft.lists.values())))
	elif draft.lists:
		combinations = list(islice(product(*draft.lists.values()), _MOST_VALUES + 1))
		if len(combinations) > _MOST_VALUES:
			router.complain(
				_("there are more than {0} combinations of values", _MOST_VALUES), "partition_router"
			)
		names = [field_name(name) for name in draft.lists]
		lines = (json.dumps(dict(zip(names, one, strict=True)), ensure_ascii=False) for one in combinations)
		draft.settings["slice_values"] = "\n".join(lines)


def _parents(conversion: Conversion, router: Component, draft: Draft, parent_of: Parent) -> None:
	configs = list(router.children("parent_stream_configs"))
	if not configs:
		router.complain(_("is empty"), "parent_stream_configs")
	for one in configs[1:]:
		one.complain(_("the union of two parent streams has no equal"))
	if configs:
		_parent(conversion, configs[0], draft, parent_of)


def _parent(conversion: Conversion, one: Component, draft: Draft, parent_of: Parent) -> None:
	stream = one.child("stream")
	parent = parent_of(stream) if stream else None
	if parent is None:
		one.complain(_("the parent stream cannot be converted"), "stream")
		return
	above = _beside(draft, parent)
	if above is None:
		one.complain(_("a second parent stream that is not within the first has no equal"))
		return
	if one.get("incremental_dependency") in (True, "true", "True"):
		draft.settings["parent_changed_only"] = True
	one.complain_of("lazy_read_pointer")
	path = _parent_path(conversion, one, parent)
	if path is not None:
		_reach(conversion, one, draft, parent, above + path)


def _beside(draft: Draft, parent: Draft) -> str | None:
	"""Take a parent beside those there are; return where its records are from the nearest one, None for one apart.

	The CDK asks for all pairs of two parents, here for those that belong together: what one has within the other.
	"""
	nearest = draft.parent
	if nearest is None or (steps := _steps(parent, nearest)) is not None:
		up = 0 if nearest is None else steps or 0
		for keys in draft.places.keys() & draft.paths.keys() if up else ():
			draft.places[keys] = _further(draft.places[keys], up)
			draft.paths[keys] = f"{'^.' * up}{draft.paths[keys]}"
		draft.parent, draft.settings["parent_stream"] = parent, parent.name
		return ""
	steps = _steps(nearest, parent)
	return None if steps is None else "^." * steps


def _further(place: Place, up: int) -> Place:
	return replace(place, name=f"parent.{'^.' * up}{place.name.removeprefix('parent.')}")


def _steps(inner: Draft, outer: Draft) -> int | None:
	"""Return how many parents up one stream is from another, None if it is none of them."""
	found: Draft | None = inner
	for steps in range(_MOST_STEPS):
		if found is outer:
			return steps
		found = found.parent if found else None
	return None


def _reach(conversion: Conversion, one: Component, draft: Draft, parent: Draft, path: str) -> None:
	"""Say what stands for a parent's fields in requests, and where records have them."""
	place, name = Place(f"parent.{path}"), conversion.text(one, "partition_field")
	draft.places[(name,)], draft.paths[(name,)] = place, f"^.{path}"
	_inherited(parent, draft)
	for keys in one.get("extra_fields") or ():
		key = ".".join(text_of(part) for part in keys)
		draft.places[("extra_fields", key)], draft.paths[("extra_fields", key)] = (
			Place(f"parent.{key}"),
			f"^.{key}",
		)
	if option := one.child("request_option"):
		draft.inject(conversion, option, place.text())


def _parent_path(conversion: Conversion, one: Component, parent: Draft) -> str | None:
	"""Return where the parent's record has its key, None after a complaint."""
	key = conversion.text(one, "parent_key").replace("/", ".")
	top, dot, rest = key.partition(".")
	path = f"{parent.virtual.get(top, top)}{dot}{rest}"
	if not _PLAIN.fullmatch(f"x.{path}"):
		one.complain(_("{0!r} is no plain field of the parent's record", path[:80]), "parent_key")
		return None
	return path


def _inherited(parent: Draft, draft: Draft) -> None:
	"""Have what the parent's slice says in reach of its child, as `parent_slice` and as the parent's own fields."""
	for keys, path in parent.paths.items():
		if path.startswith("^.") and "slice." not in path:
			name: tuple[Any, ...] = ("parent_slice", *keys)
			draft.places[name] = replace(Place(f"parent.{path}"))
			draft.paths[name] = f"^.{path}"
