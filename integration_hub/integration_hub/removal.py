"""Deleting an integration with all that belongs to it, in order: its routes, its streams, what they logged, itself.

Documents that its streams have made stay.
"""

from __future__ import annotations

import frappe
from frappe import _

from integration_hub.integration_hub import run_as
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores.database import in_list, in_transaction

LARGE = 5000  # rows above which a worker does it
_CHUNK = 1000
_LOGS = ("Webhook Log", "Delivery Log", "Integration Error Log", "Sync Log")


def plan(integration: str) -> dict:
	"""Return what goes with an integration: {"streams": names, "routes", "runs", "events", "failures", "records": counts,
	"others": routes of other integrations that lead to its streams, "large": does it take a worker?}.

	Raises PermissionError unless the user may delete all of it.
	"""
	check(integration)
	streams = _streams(integration)
	counts = {
		"routes": frappe.db.count("Webhook Route", {"parent": integration}),
		"runs": frappe.db.count("Sync Log", {"integration": integration}),
		"events": frappe.db.count("Webhook Log", {"integration": integration}),
		"failures": frappe.db.count("Integration Error Log", {"integration": integration}),
		"records": sum(frappe.db.count("External Record", {"stream": stream}) for stream in streams),
	}
	large = sum(counts.values()) > LARGE
	return {"streams": streams, **counts, "others": _others(integration, streams), "large": large}


def check(integration: str) -> None:
	"""Raise PermissionError unless the user may delete an integration and each of its streams."""
	doc = frappe.get_doc("Integration Settings", integration)
	doc.check_permission("delete")
	run_as.check_removal(doc, doc.name)
	for stream in _streams(integration):
		frappe.has_permission("Sync Settings", "delete", stream, throw=True)


def _streams(integration: str) -> list[str]:
	return frappe.get_all(
		"Sync Settings",
		filters={"integration": integration},
		pluck="name",
		order_by="name",
		limit_page_length=0,
	)


def _others(integration: str, streams: list[str]) -> list[str]:
	filters = {"stream": ["in", streams or [""]], "parent": ["!=", integration]}
	return sorted(set(frappe.get_all("Webhook Route", filters=filters, pluck="parent", limit_page_length=0)))


def remove(integration: str) -> None:
	"""Delete an integration and all that belongs to it; commits on the way, and can be begun again where it broke off.

	Raises ValidationError, before anything goes, where a stream is running or another integration's route leads to one.
	"""
	check(integration)
	streams = _streams(integration)
	if others := _others(integration, streams):
		frappe.throw(
			_("Routes of {0} lead to its streams. Remove them first.").format(", ".join(others)),
			frappe.LinkExistsError,
		)
	for stream in streams:
		frappe.get_doc("Sync Settings", stream).check_rest()
	_close(integration)
	for stream in streams:
		frappe.delete_doc("Sync Settings", stream)
		frappe.db.commit()  # each by itself: forgetting what a stream has bound takes its time
	for doctype in _LOGS:
		_clear(doctype, integration)
	frappe.delete_doc("Integration Settings", integration)


def _close(integration: str) -> None:
	"""Let nothing more come in or begin, and take away the routes, which hold the streams."""
	frappe.db.set_value("Integration Settings", integration, "enabled", 0)
	frappe.db.set_value("Sync Settings", {"integration": integration}, "enabled", 0)
	frappe.db.delete("Webhook Route", {"parent": integration, "parenttype": "Integration Settings"})
	frappe.db.commit()


def _clear(doctype: str, integration: str) -> None:
	runtime = FrappeRuntime()

	def some() -> int:
		sql = f"SELECT `name` FROM `tab{doctype}` WHERE `integration` = %s ORDER BY `name` LIMIT {_CHUNK}"
		marks, names = in_list(row["name"] for row in runtime.db.query(sql, [integration]))
		if not names:
			return 0
		runtime.db.execute(f"DELETE FROM `tab{doctype}` WHERE `name` IN ({marks})", names)
		return len(names)

	while in_transaction(runtime.db, some):
		pass
