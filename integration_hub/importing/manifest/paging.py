"""Paginators, as the pagination of a stream."""

from __future__ import annotations

from typing import Any

from integration_hub.importing.manifest.components import Component
from integration_hub.importing.manifest.conversion import Conversion
from integration_hub.importing.manifest.draft import Draft
from integration_hub.importing.manifest.expressions import Expr, Unconverted, literal, text_of
from integration_hub.importing.manifest.jmespath_text import jmespath_of, keys_of
from integration_hub.importing.manifest.placeholder_text import Place
from integration_hub.lazy_messages import _

_MOST_RECORDS = 100_000


def paginate(conversion: Conversion, retriever: Component, draft: Draft) -> None:
	"""Write a retriever's pagination into a stream; complaints for what has no equal.

	The stream's records path has to be known already.
	"""
	draft.settings |= {"pagination": "None"}
	paginator = retriever.child("paginator")
	if paginator is None or paginator.type in ("NoPagination", ""):
		return
	if paginator.type != "DefaultPaginator":
		paginator.complain(_("{0} has no equal", paginator.type))
		return
	strategy = paginator.child("pagination_strategy")
	handler = _STRATEGIES.get(strategy.type if strategy else "")
	if strategy is None or handler is None:
		_refused(paginator, strategy)
		return
	_size(conversion, paginator, strategy, draft)
	handler(conversion, paginator, strategy, draft)


def _refused(paginator: Component, strategy: Component | None) -> None:
	if strategy is None:
		paginator.complain(_("is empty"), "pagination_strategy")
	elif "class_name" in strategy.own:
		strategy.complain(_("carries code of its own ({0})", str(strategy.own["class_name"])[:80]))
	else:
		strategy.complain(_("{0} has no equal", strategy.type))


def _size(conversion: Conversion, paginator: Component, strategy: Component, draft: Draft) -> None:
	size = conversion.number(strategy, "page_size")
	draft.settings["page_size_param"] = ""
	if size is None:
		return
	if not 1 <= size <= _MOST_RECORDS:
		strategy.complain(_("must be from {0} to {1}", 1, _MOST_RECORDS), "page_size")
		return
	draft.settings["page_size"] = size
	if option := paginator.child("page_size_option"):
		_place(conversion, option, draft, "page_size_param", "{page_size}")


def _place(conversion: Conversion, option: Component, draft: Draft, setting: str, text: str) -> None:
	"""Have the page, or its size, sent by itself as a query parameter; elsewhere by a placeholder."""
	if text_of(option.get("inject_into")) == "request_parameter" and not option.has("field_path"):
		draft.settings[setting] = conversion.text(option, "field_name")
	else:
		draft.inject(conversion, option, text)


def spelled_out(draft: Draft) -> None:
	"""Write pages and sizes that go into the query as placeholders, where a body says something of them."""
	if not draft.pages_in_body:
		return
	for setting, place in (("page_param", draft.token), ("page_size_param", Place("page_size"))):
		if (name := draft.settings.get(setting)) and place:
			draft.add("request_parameter", name, place.text())


def _token(conversion: Conversion, paginator: Component, draft: Draft, name: str) -> None:
	draft.token = Place(name)
	option = paginator.child("page_token_option")
	if option is None:
		draft.settings["_token_unplaced"] = True
	elif option.type == "RequestPath":
		paginator.complain(_("a number as the whole URL has no equal"), "page_token_option")
	else:
		_place(conversion, option, draft, "page_param", draft.token.text())


def _page_number(conversion: Conversion, paginator: Component, strategy: Component, draft: Draft) -> None:
	draft.settings["pagination"] = "Page Number"
	first = conversion.number(strategy, "start_from_page") or 0
	draft.settings["first_page"] = first
	if first not in (0, 1):
		strategy.complain(_("must be from {0} to {1}", 0, 1), "start_from_page")
	_counted(conversion, paginator, strategy, draft, "page")


def _offset(conversion: Conversion, paginator: Component, strategy: Component, draft: Draft) -> None:
	draft.settings["pagination"] = "Offset"
	_counted(conversion, paginator, strategy, draft, "offset")


def _counted(
	conversion: Conversion, paginator: Component, strategy: Component, draft: Draft, name: str
) -> None:
	draft.settings["short_page_ends"] = "page_size" in draft.settings
	sent = literal(conversion.constant(strategy, "inject_on_first_request", False))
	# Number 1 and offset 0 say no more than none would.
	is_plain = draft.settings.get("first_page", 1) == 1
	draft.settings["first_page_unsent"] = not is_plain and sent in (False, "false", "False", "")
	_token(conversion, paginator, draft, name)


def _cursor(conversion: Conversion, paginator: Component, strategy: Component, draft: Draft) -> None:
	cursor = conversion.value(strategy, strategy.get("cursor_value"), "cursor_value")
	stop = conversion.value(strategy, strategy.get("stop_condition"), "stop_condition")
	if not isinstance(cursor, Expr):
		if cursor is not None:
			strategy.complain(_("is the same for each page"), "cursor_value")
		return
	option = paginator.child("page_token_option")
	as_path = option is not None and option.type == "RequestPath"
	try:
		kind, path = _kind(cursor, draft, as_path)
	except Unconverted as error:
		strategy.complain(str(error), "cursor_value")
		return
	draft.settings |= {"pagination": kind, "cursor_path": path}
	draft.token = Place("cursor")
	if option is None:
		draft.settings["_token_unplaced"] = True
	elif not as_path:
		_place(conversion, option, draft, "page_param", "{cursor}")
	_stop(strategy, draft, stop, cursor)


def _kind(cursor: Expr, draft: Draft, as_path: bool) -> tuple[str, str]:
	"""Return the kind of pagination that a cursor makes, and where it stands. Raises Unconverted."""
	found = keys_of(cursor)
	if found and found[0] == "headers":
		keys = tuple(str(key).lower() for key in found[1])
		if keys == ("link", "next", "url"):
			if not as_path:
				raise Unconverted(_("a link as a parameter has no equal"))
			return "Link Header", "Link"
		if len(keys) == 1:
			header = str(found[1][0])
			return ("Link Header", header) if as_path else ("Cursor", f"header:{header}")
	return "Next Link" if as_path else "Cursor", jmespath_of(cursor, _roots(draft))


def _roots(draft: Draft) -> dict[str, Any]:
	records = draft.settings.get("records_path") or "@"

	def last(keys: tuple[Any, ...]) -> str:
		path = _last_path(records)
		return ".".join((path, *(f'"{key}"' if not str(key).isidentifier() else str(key) for key in keys)))

	def size(keys: tuple[Any, ...]) -> str:
		return f"length({records} || `[]`)"

	return {"response": "@", "last_record": last, "last_page_size": size}


def _last_path(records: str) -> str:
	return "[-1]" if records == "@" else f"{records}[-1]"


def _stop(strategy: Component, draft: Draft, stop: Any, cursor: Expr) -> None:
	if not isinstance(stop, Expr):
		if literal(stop) in (True, "True", "true"):
			draft.settings["pagination"] = "None"
		return
	if says_absence(stop, cursor):
		return
	if draft.settings["pagination"] == "Link Header":
		if _names(stop) != {"headers"}:
			strategy.complain(_("has no equal beside a link in a header"), "stop_condition")
		return
	try:
		draft.settings["more_path"] = _more(stop, cursor, draft)
	except Unconverted as error:
		strategy.complain(str(error), "stop_condition")


def _more(stop: Expr, cursor: Expr, draft: Draft) -> str:
	"""Return the path that says whether more waits: unless it stops, and there is a cursor."""
	roots = _roots(draft)
	more = stop.args[0] if stop.op == "not" else Expr("not", (stop,))
	path = jmespath_of(more, roots)
	if keys_of(more) or draft.settings["cursor_path"].startswith("header:"):
		return path
	return f"({path}) && ({jmespath_of(cursor, roots)})"


def says_absence(stop: Expr, cursor: Expr) -> bool:
	"""Tell whether a condition only says that there is no cursor, which ends the list anyway."""
	wanted = keys_of(cursor)
	found: Any = None
	if stop.op == "not" or (stop.op == "test" and stop.args[1] in ("none", "undefined")):
		found = keys_of(stop.args[0])
	elif stop.op == "compare" and stop.args[0] == "eq" and not isinstance(stop.args[2], Expr):
		found = keys_of(stop.args[1]) if stop.args[2] in (None, "", {}) else None
	elif stop.op == "compare" and stop.args[0] == "notin" and (place := keys_of(stop.args[2])):
		found = (place[0], (*place[1], stop.args[1]))
	elif stop.op == "or":
		return all(isinstance(one, Expr) and says_absence(one, cursor) for one in stop.args)
	if not wanted or not found or wanted[0] != found[0]:
		return found is not None and stop.op == "not" and stop.args[0] == cursor
	return wanted[1][: len(found[1])] == found[1]


def _names(found: Any) -> set[str]:
	if not isinstance(found, Expr):
		return set()
	if found.op == "name":
		return {found.args[0]}
	return set().union(*(_names(arg) for arg in found.args)) if found.args else set()


_STRATEGIES = {"PageIncrement": _page_number, "OffsetIncrement": _offset, "CursorPagination": _cursor}
