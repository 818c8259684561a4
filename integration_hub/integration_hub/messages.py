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
		_("there is no GET operation {0!r}; there are {1}"),
		_("no list of objects is in its answer"),
		_("Base URL"),
		_("is no OpenAPI document of the versions 2.0, 3.0 or 3.1"),
		_("the reference {0} leads out of the document"),
		_("Token"),
		_("Username"),
		_("Password"),
		_("API Key"),
		_("Client ID"),
		_("Client Secret"),
		_("Refresh Token"),
		_("streams within streams go {0} levels deep at most"),
		_("the union of two parent streams has no equal"),
		_("a second parent stream that is not within the first has no equal"),
		_("there are more than {0} combinations of values"),
		_("times of records in several formats have no equal"),
	)


def _of_sending(_) -> tuple[str, ...]:
	return (
		_("must not contain a user and password: use the fields under the integration's Authentication"),
		_("DocType {0} does not exist"),
		_("does not contain {0}, which stands for the record's id"),
		_("no operation is chosen: nothing would be sent"),
		_("{0!r} is not one of {1}"),
		_("{0} has no field {1!r}"),
		_("is not a stream of direction Out"),
		_("conversion {0!r} is not one of {1}"),
		_("needs an argument: source = target, one a line"),
		_("no transform {0!r} is registered (integration_hub_transforms)"),
		_("{0!r} is not a finite number"),
		_("{0!r} is not source = target"),
		_("The document is gone, and no deletion was noted."),
		_("The system no longer has record {0}."),
		_("The system has no such record."),
		_("The system took the record, and its answer held no id at {0}."),
		_("The record stays in the system."),
		_("So many deletions need approval: {0}"),
		_("The message could not be made."),
		_("There is no end to the requests of this delivery."),
		_("The system has several records with the same {0}: {1}"),
		_("The system answered {0}."),
		_("could not be written back: {0}"),
		_("Record {0} stands for {1} already."),
		_("is not a list of filters"),
		_("{0} is not a filter: [DocType, field, operator, value]"),
		_("is not JSON: {0}"),
		_("has neither a field nor a default"),
		_("table {0!r} of {1} has no field {2!r}"),
		_("{0!r} is a password, which is not sent"),
		_("{0!r}: the conversion Rows is for tables, and tables need it"),
		_("{0!r}: {1}"),
		_("{0!r}: stream {1!r} does not exist"),
		_("{0}{1}: is empty, and required"),
		_("{0!r} is not a place in the record, as address.city"),
		_("{0} {1} does not exist"),
		_("{0}: another row has put a value at {1}"),
		_("needs an argument: the linked DocType's field to send, or stream:NAME"),
		_("row {0}: {1}"),
		_("{0!r} is filled twice"),
		_("is needed to sign messages"),
		_("must be whsec_ and base64 for Standard Webhooks"),
		_("{0} has no value here"),
		_("It redirects to another address."),
		_("has no deletions waiting for approval"),
		_("is a stream of direction Out: it sends, and fetches nothing"),
		_("is disabled"),
		_("{0} records have a change time more than a day in the future, which the watermark ignores"),
		_("is running already"),
	)


def _marked_of_lists(_) -> tuple[str, ...]:
	return (
		_("record_endpoint: the source has no detail of the record"),
		_("record_endpoint: the response is not the record {0!r}"),
		_("record_endpoint: the response is no object"),
		_("cannot be used where details are fetched"),
		_("is only for parents that are asked for at the API"),
		_("{0!r} has no Updated At Path, which says when a parent changed"),
		_("the parent stream {0!r} was never fetched to its end"),
		_("one of its lists failed"),
		_("is not for a change feed, whose cursor leads on"),
		_("is needed, where no {0} stands in the request"),
		_("is needed: after how many records, pages or by which status the list begins again"),
		_("is needed for {0}"),
		_(
			"restart_key {0} does not move on: {1} records came from {2} to {3}. "
			"More records have the same key than come at a time, or the list is not in order of it."
		),
		_("restart_key {0}: the list is not in order of it; {1} follows {2}."),
		_("restart_key {0}: {1}."),
		_("restart_key {0}: a record has no key there."),
	)


def _marked_of_imports(_) -> tuple[str, ...]:
	return (
		_("{0}: is longer than {1} characters"),
		_("{0}: {1!r} is not of the kind {2}"),
		_("there is no stream {0!r}; there are {1}"),
		_("there is no setting {0}"),
		_("is nested deeper than {0} levels"),
		_("is longer than {0} characters"),
		_("is not an object"),
		_("cannot be read: install PyYAML (pip install 'integration_hub[import]')"),
		_("is neither YAML nor JSON: {0}"),
		_("holds more than {0} values, aliases written out"),
		_("a key in {0} has no equal"),
		_("{0!r} has no equal"),
		_("there are more secrets than Password fields"),
		_("there is no authenticator for {0!r}"),
		_("is empty"),
		_("a token in this place has no equal"),
		_("has no equal"),
		_("carries code of its own ({0})"),
		_("{0} has no equal"),
		_("{0} has no equal for a login"),
		_("a secret stands in it, which only credentials may hold"),
		_("a body that is text has no equal"),
		_("the reference {0} leads nowhere"),
		_("the reference {0} leads to itself"),
		_("references are nested deeper than {0} levels"),
		_("follows more than {0} references"),
		_("{0!r} is not a duration like P1D"),
		_("{0!r} is longer than a hundred years"),
		_("{0!r} is not a hash that is known"),
		_("{0} is not a number"),
		_("is no manifest: it has no streams"),
		_("its parent stream is of another host, or has other credentials"),
		_("there are more than {0} streams, or {1} levels of them"),
		_("{0} of the state is not known"),
		_("{0} of the slice is not known"),
		_("{0} of the slice is not within reach of a record"),
		_("there is no pagination whose token it could be"),
		_("{0} is known only while requests are made"),
		_("the Jinja statement {0} has no equal"),
		_("{0} is not a name that is known"),
		_("computes with a secret"),
		_("computes too large a number"),
		_("repeats a text"),
		_("cannot be read: install Jinja2 ({0})"),
		_("{0} cannot be read: {1}"),
		_("Jinja's {0} has no equal"),
		_("a call of {0} has no equal"),
		_("the function {0}() is not known"),
		_("the method {0}() is not known"),
		_("the filter {0} is not known"),
	)


def _marked_of_imports_2(_) -> tuple[str, ...]:
	return (
		_("the test {0} is not known"),
		_("a chain of comparisons has no equal"),
		_("compares a secret"),
		_("cannot be computed: {0}"),
		_("{0!r} is not a time"),
		_("is known only while requests are made"),
		_("an end before now that moves has no equal"),
		_("a secret stands in it"),
		_("the filter {0} has no equal in JMESPath"),
		_("the test {0} has no equal in JMESPath"),
		_("the function {0}() has no equal in JMESPath"),
		_("the method {0}() has no equal in JMESPath"),
		_("{0} is no JSON"),
		_("the operation {0} has no equal in JMESPath"),
		_("{0} is not within reach here"),
		_("a difference has no equal in JMESPath"),
		_("must be from {0} to {1}"),
		_("a number as the whole URL has no equal"),
		_("is the same for each page"),
		_("has no equal beside a link in a header"),
		_("a link as a parameter has no equal"),
		_("{0!r} is not a list of values"),
		_("a second list of values has no equal"),
		_("the parent stream cannot be converted"),
		_("{0!r} is no plain field of the parent's record"),
		_("a second parent stream has no equal"),
		_("{0!r} is not a format of times"),
		_("the function {0}() has no equal in a request"),
		_("the method {0}() has no equal in a request"),
		_("the filter {0} has no equal in a request"),
		_("{0} has no equal in a request"),
		_("the default of {0} has no equal in a request"),
		_("a constant is mixed with what is known later"),
		_("`*` three times in a path has no equal"),
		_("{0} has no equal; there are {1}"),
		_("a secret in a body has no equal"),
		_("the pagination's token is sent nowhere"),
		_("holds more than one line"),
		_("is no JSON: {0}"),
	)


MESSAGES = frozenset((*_marked(str), *_of_sending(str)))


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
