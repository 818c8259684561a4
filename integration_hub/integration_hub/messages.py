"""The engine's sentences for people, where Frappe's translation tools find them.

The engine does not know Frappe, so it cannot call `_` itself; what a person sees is looked up here.
"""

from typing import NoReturn

import frappe
from frappe import _
from frappe.utils import escape_html

from integration_hub.lazy_messages import LazyMessage


def _marked(_) -> tuple[str, ...]:
	return (
		_("To Look At"),
		_("The request to the external system failed."),
		_("The settings are incomplete or wrong."),
		_("Authentication failed. Check credentials."),
		_("Access denied. Check permissions."),
		_("Resource not found."),
		_("The external system no longer has this."),
		_("The external system reports a conflict."),
		_("The external system refused the data."),
		_("The external system refused the request."),
		_("The external system sent an unexpected response."),
		_("Rate limited. Please wait."),
		_("Server error on the external system."),
		_("Connection failed. Check the address and your network."),
		_("No secure connection could be made. Check the address and its certificate."),
		_("The address is not allowed."),
		_("The connection broke before the response was complete."),
		_("Request timed out. Please try again."),
		_("The response is larger than the settings allow."),
		_("The response could not be read."),
		_("The external system answered with an error."),
		_("The external system asks for a pause."),
		_("Requests are paused."),
		_("The external system has failed repeatedly; requests are paused."),
		_("Nothing would change."),
		_("The event is being handled."),
		_("The event is in conflict: use Handle as a New Event."),
		_("The event's body is no longer kept: it cannot be replayed."),
		_("No route matches the event, so it stays Unrouted."),
		_("The route of the event says to ignore it."),
	)


MESSAGES = frozenset(_marked(str))


def in_language(sentence: object) -> str:
	"""Return a sentence of the engine in the current user's language, what stands in it as well."""
	if not isinstance(sentence, LazyMessage):
		return str(sentence)
	values = [in_language(v) if isinstance(v, LazyMessage | BaseException) else v for v in sentence.values]
	return _(sentence.template).format(*values)


def translated(error: BaseException) -> str:
	"""Return an error's text, its sentence for people in the current user's language, and its DocType as on screen."""
	text = _named_as_on_screen(str(error), getattr(error, "doctype", ""))
	if isinstance(message := getattr(error, "message", ""), LazyMessage):
		return text.replace(message, in_language(message), 1)
	sentence = getattr(error, "sentence", "")
	return text.replace(sentence, _(sentence), 1) if sentence else text


def _named_as_on_screen(text: str, doctype: str) -> str:
	"""Return an error's text with the translated name of the DocType that it begins with."""
	return _(doctype) + text[len(doctype) :] if doctype and text.startswith(f"{doctype} ") else text


def refuse(error: BaseException, title: str | None = None) -> NoReturn:
	"""Say to the person what the engine could not do, and end the request.

	An error's text may hold what a source answered or a sender wrote; Frappe shows a message as HTML.
	"""
	frappe.throw(escape_html(translated(error)), title=title)
