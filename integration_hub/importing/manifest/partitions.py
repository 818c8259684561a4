"""Partition routers, as parent streams and lists of values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from integration_hub.importing.manifest.components import Component
from integration_hub.importing.manifest.conversion import Conversion
from integration_hub.importing.manifest.draft import Draft
from integration_hub.importing.manifest.expressions import text_of
from integration_hub.importing.manifest.placeholder_text import Place
from integration_hub.importing.manifest.secret_marks import secret_names
from integration_hub.lazy_messages import _

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.(\^|[A-Za-z0-9_-]+))*")
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


def _values(conversion: Conversion, router: Component, draft: Draft) -> None:
	values = conversion.constant(router, "values")
	if isinstance(values, list):
		values = [text_of(conversion.constant_of(router, value, "", "values")) for value in values]
	if not isinstance(values, list) or secret_names(values) or any("\n" in one for one in values):
		router.complain(_("{0!r} is not a list of values", text_of(values)[:60]), "values")
		return
	if "slice_values" in draft.settings:
		router.complain(_("a second list of values has no equal"))
		return
	draft.settings["slice_values"] = "\n".join(values)
	name = conversion.text(router, "cursor_field")
	draft.places[(name,)], draft.paths[(name,)] = Place("slice.value"), "^.slice.value"
	if option := router.child("request_option"):
		draft.inject(conversion, option, "{slice.value}")


def _parents(conversion: Conversion, router: Component, draft: Draft, parent_of: Parent) -> None:
	configs = list(router.children("parent_stream_configs"))
	if not configs:
		router.complain(_("is empty"), "parent_stream_configs")
	for number, one in enumerate(configs):
		if number or "parent_stream" in draft.settings:
			one.complain(_("a second parent stream has no equal"))
		else:
			_parent(conversion, one, draft, parent_of)


def _parent(conversion: Conversion, one: Component, draft: Draft, parent_of: Parent) -> None:
	stream = one.child("stream")
	parent = parent_of(stream) if stream else None
	if parent is None:
		one.complain(_("the parent stream cannot be converted"), "stream")
		return
	draft.settings["parent_stream"] = parent.name
	if one.get("incremental_dependency") in (True, "true", "True"):
		draft.settings["parent_changed_only"] = True
	one.complain_of("lazy_read_pointer")
	path = _parent_path(conversion, one, parent)
	if path is None:
		return
	place = Place(f"parent.{path}")
	name = conversion.text(one, "partition_field")
	draft.places[(name,)], draft.paths[(name,)] = place, f"^.{path}"
	_inherited(parent, draft)
	for keys in one.get("extra_fields") or ():
		names = [text_of(key) for key in keys]
		draft.places[("extra_fields", ".".join(names))] = Place(f"parent.{'.'.join(names)}")
		draft.paths[("extra_fields", ".".join(names))] = f"^.{'.'.join(names)}"
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
		if path.startswith("^.") and "slice.value" not in path:
			name: tuple[Any, ...] = ("parent_slice", *keys)
			draft.places[name] = replace(Place(f"parent.{path}"))
			draft.paths[name] = f"^.{path}"
