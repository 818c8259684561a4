"""Handling events again: which ones, and what that would change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from integration_hub.connectors.app_code import attempt
from integration_hub.connectors.json_text import read_json
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.secrets import redactor_for
from integration_hub.lazy_messages import _
from integration_hub.stores import inbox
from integration_hub.stores.database import Row
from integration_hub.stores.runtime import Change, HubError, Runtime, Target, Written
from integration_hub.sync.compare import differences
from integration_hub.webhooks.events import Route, load_routes, routes_for
from integration_hub.webhooks.handle import FETCH, Handling, headers_of
from integration_hub.webhooks.receive import hand_over

FAILED = ("Failed", "Dead", "Unrouted")
Action = Literal["Nothing", "Create", "Update", "Delete", "Cancel", "Fail", "Refuse", "Call"]
_SHOWN = ("Upsert Record", "Delete Record")  # what only the database notices


@dataclass
class Effect:
	"""The effect that handling an event would have: `changes` maps the fields of a document to (before, after).

	action: the same as `does`, in a word.
	"""

	event: str
	action: Action = "Nothing"
	does: str = ""
	doctype: str = ""
	document: str = ""
	changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)


class CannotBeUndone(Exception):
	"""A dry run would have written for good."""


class _Undone(Exception):
	"""Carries the transaction of a preview to its end, which is no commit."""


def replay(runtime: Runtime, names: Sequence[str], conflicts: bool = False) -> int:
	"""Have events handled again, from their first attempt; return how many. conflicts: see inbox.requeue.

	Raises HubError for a name that is no event; nothing is replayed then.
	"""
	integrations = inbox.integrations_of(runtime, names)
	count = inbox.requeue(runtime, names, conflicts)
	for integration in integrations:
		hand_over(runtime, integration)
	return count


def preview(runtime: Runtime, names: Sequence[str]) -> Iterator[Effect]:
	"""Handle events in a transaction each that is rolled back; return what it would have done.

	Functions, scripts and syncs are named and not called: what they do beyond the database could not be undone.
	Raises HubError for a name that is no event.
	"""
	found = {row["name"]: row for row in inbox.load(runtime, names)}
	for name in names:
		if name not in found:
			raise HubError(_("does not exist"), doctype=inbox.DOCTYPE, name=name)
		yield _preview(runtime, found[name])


def _preview(runtime: Runtime, row: Row) -> Effect:
	effect = Effect(row["name"])
	if row["status"] == "Processing":
		effect.action, effect.does = "Refuse", "The event is being handled."
	elif row["status"] == "Conflict":
		effect.action, effect.does = "Refuse", "The event is in conflict: use Handle as a New Event."
	elif row["payload"] is None:
		effect.action, effect.does = "Refuse", "The event's body is no longer kept: it cannot be replayed."
	else:
		_preview_route(runtime, row, effect)
	return effect


def _preview_route(runtime: Runtime, row: Row, effect: Effect) -> None:
	routes = load_routes(runtime, row["integration"])
	found = routes_for(routes, row["event_type"] or "", lambda: (read_json(row["payload"]), headers_of(row)))
	if not found:
		effect.does = "No route matches the event, so it stays Unrouted."
	parts = [Effect(row["name"]) for _route in found]
	for route, part in zip(found, parts, strict=True):
		_preview_one(runtime, row, route, part)
	_join(effect, parts)


def _join(effect: Effect, parts: Sequence[Effect]) -> None:
	"""Put together what several routes would do: their sentences, and the document of the first that has one."""
	if not parts:
		return
	told = next((part for part in parts if part.action != "Nothing"), parts[0])
	for name in ("action", "doctype", "document", "changes"):
		setattr(effect, name, getattr(told, name))
	effect.does = " ".join(part.does for part in parts) if len(parts) > 1 else parts[0].does


def _preview_one(runtime: Runtime, row: Row, route: Route, effect: Effect) -> None:
	if route.action == "Ignore":
		effect.does = "The route of the event says to ignore it."
	elif route.action == FETCH:
		effect.action = "Call"
		effect.does = f"Asks the source for the record, and writes what it answers: {route.stream}"
	elif Handling(runtime, Redactor()).is_to_confirm(row, route):
		effect.action = "Call"
		effect.does = f"Asks the source for the record; then deletes it, or writes it: {route.stream}"
	elif route.action not in _SHOWN:
		effect.action = "Call"
		effect.does = f"{route.action}: {route.stream or route.handler or route.server_script}"
	else:
		_handle_and_undo(runtime, row, route, effect)


def _handle_and_undo(runtime: Runtime, row: Row, route: Any, effect: Effect) -> None:
	redactor = redactor_for(runtime.secrets(row["integration"]))
	handling = Handling(runtime, redactor, lambda target: _Watched(target, effect))
	effect.does = "Nothing would change."
	with (
		attempt() as handled,
		runtime.as_user(runtime.integration(row["integration"]).run_as_user),
		runtime.db.transaction(),
	):
		runtime.db.watch(_refuse, lambda: None)
		handling.handle(row, route)
		raise _Undone
	if not isinstance(handled.error, _Undone):
		effect.action, effect.changes = "Fail", {}
		effect.does = f"It would fail: {redactor.text(handled.error, 500)}"


def _refuse() -> None:
	"""Keep a controller from committing what is to be undone."""
	raise CannotBeUndone("What it does commits by itself, which a dry run could not undo.")


class _Watched:
	"""A target that notes what is written to it, as it then stands in the database."""

	def __init__(self, target: Target, effect: Effect) -> None:
		self._target, self._effect = target, effect

	def __getattr__(self, name: str) -> Any:
		return getattr(self._target, name)

	def write(self, changes: Sequence[Change]) -> list[Written]:
		before = [self._values(change.name, list(change.values)) for change in changes]
		outcomes = self._target.write(changes)
		for change, old, outcome in zip(changes, before, outcomes, strict=True):
			if not outcome.error:
				new = self._values(outcome.name, list(change.values))
				self._note("Update" if change.name else "Create", outcome.name, old, new)
		return outcomes

	def delete(self, names: Sequence[str]) -> dict[str, Exception]:
		errors = self._target.delete(names)
		for name in set(names) - errors.keys():
			self._note("Delete", name, {}, {})
		return errors

	def cancel(self, names: Sequence[str]) -> dict[str, Exception]:
		errors = self._target.cancel(names)
		for name in set(names) - errors.keys():
			self._note("Cancel", name, {}, {})
		return errors

	def set_value(self, names: Sequence[str], field: str, value: Any) -> dict[str, Exception]:
		before = {name: self._values(name, [field]) for name in names}
		errors = self._target.set_value(names, field, value)
		for name in set(names) - errors.keys():
			self._note("Update", name, before[name], self._values(name, [field]))
		return errors

	def _values(self, name: str | None, fields: Sequence[str]) -> dict[str, Any]:
		return self._target.values([name], fields).get(name, {}) if name else {}

	def _note(self, action: Action, name: str | None, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
		self._effect.action, self._effect.doctype = action, self._target.doctype
		self._effect.document = "" if action == "Create" else name or ""
		self._effect.does = f"{action}s {self._effect.doctype} {self._effect.document}".strip()
		self._effect.changes |= differences(old, new, self._target.fields())
