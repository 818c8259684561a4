"""Many rows of a list acted on at once: those that a person has checked, or all that the list's filters find.

The rows of a filter are found again by the worker, as the person who asked may see them; what became of them is told to
that person, and of records on the run that tried them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import frappe
from frappe import _
from frappe.utils import escape_html

from integration_hub.integration_hub import operator_actions, run_as
from integration_hub.integration_hub.messages import translated
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores import deliveries
from integration_hub.stores.bindings import NOT_WRITTEN
from integration_hub.stores.runtime import HubError
from integration_hub.sync.retry_run import MOST, retry_records
from integration_hub.webhooks import replay

# What of a list can be tried again: the states that its rows have then.
STATES = {
	"External Record": NOT_WRITTEN,
	"Webhook Log": replay.FAILED,
	"Integration Error Log": ("Open",),
	"Delivery Log": ("Failed", "Dead", "Rejected"),
}


def matching(doctype: str, given: str | list | dict) -> list[Any]:
	"""Return the filters that find what can be tried again among what a list shows."""
	if doctype not in STATES:
		frappe.throw(_("Nothing of {0} can be tried again.").format(_(doctype)))
	filters = frappe.parse_json(given) if isinstance(given, str) else given
	if not isinstance(filters, list) or not all(isinstance(one, list) for one in filters):
		frappe.throw(_("Expected a list of filters."))
	return [*filters, [doctype, "status", "in", list(STATES[doctype])]]


def count(doctype: str, given: str | list | dict) -> int:
	"""Return how many rows of a list can be tried again, as far as the user may see them; MOST at the most."""
	return len(_rows(doctype, matching(doctype, given), ["name"]))


def _rows(doctype: str, filters: list[Any], fields: list[str]) -> list[Any]:
	return frappe.get_list(
		doctype, filters=filters, fields=fields, order_by="name", limit_page_length=MOST, debug=False
	)


def retry_matching(doctype: str, filters: list[Any]) -> list[str]:
	"""Try again what a list's filters find; return what became of it, as sentences for the user."""
	doers: dict[str, Callable[[list[Any]], Iterator[str]]] = {
		"External Record": _retry_records,
		"Webhook Log": _replay,
		"Integration Error Log": _retry_failures,
		"Delivery Log": _send_again,
	}
	return list(doers[doctype](filters)) or [_("Nothing is left to try again.")]


def _retry_records(filters: list[Any]) -> Iterator[str]:
	by_stream: dict[str, list[str]] = defaultdict(list)
	for row in _rows("External Record", filters, ["name", "stream"]):
		by_stream[row.stream].append(row.name)
	for stream, names in sorted(by_stream.items()):
		yield f"{stream}: {retry_of(stream, names=names)}"


def retry_of(stream: str, **which: Any) -> str:
	"""Try records of a stream again; return what became of them, or why nothing was tried. See again.retry_records."""
	runtime = FrappeRuntime()
	try:
		frappe.has_permission("Sync Settings", "write", stream, throw=True)
		row = retry_records(runtime, stream, f"Person {frappe.session.user}", **which)
	except frappe.PermissionError:
		return _("You may not run this stream.")
	except HubError as error:
		return translated(error)
	return row["error"] or _(row["status"])


def _replay(filters: list[Any]) -> Iterator[str]:
	for integration, names in _runnable("Webhook Log", filters, _("You may not have its events handled.")):
		if isinstance(names, str):
			yield f"{integration}: {names}"
			continue
		again = replay.replay(FrappeRuntime(), names)
		yield f"{integration}: " + _("{0} events will be handled again.").format(again)


def _send_again(filters: list[Any]) -> Iterator[str]:
	runtime = FrappeRuntime()
	for integration, names in _runnable("Delivery Log", filters, _("You may not have its deliveries sent.")):
		if isinstance(names, str):
			yield f"{integration}: {names}"
			continue
		again = deliveries.requeue(runtime, names)
		runtime.enqueue_dispatch(integration)
		yield f"{integration}: " + _("{0} deliveries will be sent again.").format(again)


def _runnable(doctype: str, filters: list[Any], refusal: str) -> Iterator[tuple[str, list[str] | str]]:
	"""Return the names that a list's filters find by integration; in their place the refusal, where it is not the user's."""
	by_integration: dict[str, list[str]] = defaultdict(list)
	for row in _rows(doctype, filters, ["name", "integration"]):
		by_integration[row.integration].append(row.name)
	for integration, names in sorted(by_integration.items()):
		try:
			run_as.check("Run", integration)
			yield integration, names
		except frappe.PermissionError:
			yield integration, refusal


def _retry_failures(filters: list[Any]) -> Iterator[str]:
	names = [row.name for row in _rows("Integration Error Log", filters, ["name"])]
	done = operator_actions.retry(names)
	if done["events"]:
		yield _("{0} events will be handled again.").format(done["events"])
	if done["streams"]:
		yield _("Streams that run again: {0}.").format(", ".join(done["streams"]))
	if done["records"]:
		yield _("Streams whose records are tried again: {0}.").format(", ".join(done["records"]))
	if done["nothing"]:
		yield _("Failures that have nothing to try again here: {0}.").format(len(done["nothing"]))


def tell(said: list[str], title: str = "", indicator: str = "blue") -> None:
	"""Show the user, wherever in Desk they are, what became of something; title: without one, of a retry."""
	text = "".join(f"<p>{escape_html(line)}</p>" for line in said)
	message = {"message": text, "title": title or _("Tried Again"), "indicator": indicator}
	frappe.publish_realtime("msgprint", message, user=frappe.session.user)


def set_enabled(given: str | list, enabled: bool) -> dict[str, Any]:
	"""Switch streams on or off, each by a save of its own: {"done": names, "refused": {name: why}}."""
	done, refused = [], {}
	for name in operator_actions.names_of(given):
		frappe.db.savepoint("one")
		try:
			doc = frappe.get_doc("Sync Settings", name)
			doc.check_permission("write")
			if bool(doc.enabled) is not enabled:
				doc.enabled = int(enabled)
				doc.save()
			done.append(name)
		except (frappe.ValidationError, frappe.PermissionError) as error:
			frappe.db.rollback(save_point="one")
			frappe.clear_messages()
			refused[name] = frappe.utils.strip_html(str(error)) or _("You may not change it.")
	return {"done": done, "refused": refused}


def run_streams(given: str | list) -> dict[str, Any]:
	"""Hand streams to workers: {"done": names, "refused": {name: why}}."""
	runtime, done, refused = FrappeRuntime(), [], {}
	for name in operator_actions.names_of(given):
		try:
			operator_actions.runnable(name)
		except (HubError, frappe.PermissionError) as error:
			refused[name] = (
				translated(error) if isinstance(error, HubError) else _("You may not run this stream.")
			)
			continue
		operator_actions.run(runtime, name)
		done.append(name)
	return {"done": done, "refused": refused}


def streams_of(given: str | list) -> list[str]:
	"""Return the streams of runs that the user may read, each once."""
	filters = {"name": ["in", operator_actions.names_of(given)]}
	found = frappe.get_list("Sync Log", filters=filters, fields=["stream"], limit_page_length=0)
	return sorted({row.stream for row in found if row.stream})
