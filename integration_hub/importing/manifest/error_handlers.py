"""Error handlers, as answer rules and the retry policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from integration_hub.connectors.placeholders import escaped
from integration_hub.importing.manifest.components import Component
from integration_hub.importing.manifest.conversion import Conversion
from integration_hub.importing.manifest.expressions import Expr, Unconverted, evaluated, literal, text_of
from integration_hub.importing.manifest.jmespath_text import jmespath_of
from integration_hub.lazy_messages import _

Rule = dict[str, str]

_ACTIONS = {
	"SUCCESS": "Success",
	"IGNORE": "Ignore",
	"RETRY": "Retry",
	"RATE_LIMITED": "Rate Limited",
	"FAIL": "Fail",
	"REFRESH_TOKEN_THEN_RETRY": "Renew Credentials",
}
# Where services put their error messages: CDK, JsonErrorMessageParser.
_MESSAGES = "to_string(@)"
_BUILT_IN_WAITS = ("retry-after", "x-ratelimit-reset", "ratelimit-reset")
_HANDLERS = ("DefaultErrorHandler", "CompositeErrorHandler", "")


def rules_of(conversion: Conversion, requester: Component) -> list[Rule]:
	"""Return the answer rules of a requester; complaints for what has no equal."""
	handler = requester.child("error_handler")
	return list(_rules(conversion, handler)) if handler else []


def _rules(conversion: Conversion, handler: Component) -> Iterator[Rule]:
	if handler.type not in _HANDLERS:
		code = text_of(handler.own.get("class_name"))
		handler.complain(
			_("carries code of its own ({0})", code[:80]) if code else _("{0} has no equal", handler.type)
		)
		return
	wait = _wait(handler)
	for one in handler.children("response_filters"):
		yield from _rule(conversion, one, wait)
	if wait and not any(handler.children("response_filters")):
		yield {"statuses": "429", "action": "Rate Limited", "wait": wait}
	for one in handler.children("error_handlers"):
		yield from _rules(conversion, one)


def _wait(handler: Component) -> str:
	"""Return where answers say how long to wait, where that is not known anyway."""
	for one in handler.children("backoff_strategies"):
		if one.type in ("WaitTimeFromHeader", "WaitUntilTimeFromHeader"):
			name = text_of(one.get("header"))
			if name.lower() not in _BUILT_IN_WAITS:
				return f"header:{name}"
		elif "class_name" in one.own:
			one.complain(_("carries code of its own ({0})", text_of(one.own["class_name"])[:80]))
	return ""


def _rule(conversion: Conversion, one: Component, wait: str) -> Iterator[Rule]:
	action = _ACTIONS.get(text_of(one.get("action")).upper() or "FAIL")
	if action is None:
		one.complain(_("{0!r} has no equal", text_of(one.get("action"))), "action")
		return
	if action == "Retry" and wait:
		action = "Rate Limited"
	rest = {"action": action, "message": _message(conversion, one) if action == "Fail" else ""}
	if action == "Rate Limited" and wait:
		rest["wait"] = wait
	if codes := one.get("http_codes"):
		yield {"statuses": _statuses(codes), **rest}
	if condition := _condition(conversion, one):
		yield {"condition": condition, **rest}
	if text := one.get("error_message_contains"):
		yield {"condition": f"contains({_MESSAGES}, {_quoted(text)})", **rest}


def _statuses(codes: Any) -> str:
	several = codes if isinstance(codes, list) else [codes]
	return ", ".join(text_of(code) for code in several)


def _quoted(text: Any) -> str:
	return "'" + text_of(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _condition(conversion: Conversion, one: Component) -> str:
	value = conversion.value(one, one.get("predicate") or "", "predicate", "")
	if value == "" or literal(value) is False:
		return ""
	try:
		return jmespath_of(value, {"response": "@"})
	except Unconverted as error:
		one.complain(str(error), "predicate")
		return ""


def _message(conversion: Conversion, one: Component) -> str:
	"""Return what a failure says; what cannot be written is no loss."""
	try:
		found = evaluated(one.get("error_message") or "", conversion.scope(one))
	except Unconverted:
		return ""
	return "" if isinstance(found, Expr) else escaped(text_of(found).strip())
