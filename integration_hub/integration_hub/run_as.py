"""Run As: whose name settings may use, and who decides what is done in it.

An integration writes as its Run As User, calls with the token of its Connected App's user, and sends secrets that nobody
reads. `may` decides what a person may do about one; each entry point asks it: the documents' controllers, whatever saves
them, and the functions of the api package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import frappe
from frappe import _
from frappe.model import no_value_fields, table_fields
from frappe.model.document import Document
from frappe.utils import cast

from integration_hub.integration_hub.settings import refuse

Kind = Literal["Run", "Tune", "Decide"]
"""Run: have done what is set up. Tune: when it is done, how often and how fast. Decide: all else, which is what is
written, from where, as whom and by whose word."""

_INTEGRATION, _STREAM = "Integration Settings", "Sync Settings"

# The fields that only tune. One that is not named here decides, and so does one that is added later.
TUNES = {
	_INTEGRATION: frozenset(
		{
			"enabled",
			"connect_timeout",
			"read_timeout",
			"max_response_mb",
			"max_attempts",
			"backoff_min",
			"backoff_max",
			"max_wait",
			"rate_limit",
			"rate_period",
			"breaker_threshold",
			"breaker_seconds",
			"keep_payload_days",
			"keep_dead_days",
			"keep_unrouted_days",
			"keep_conflict_days",
			"event_attempts",
			"event_retry_pauses",
			"event_dead_hours",
		}
	),
	_STREAM: frozenset({"enabled", "schedule", "interval_minutes", "cron", "alert_after"}),
}
# Entry points to the inbox: closing one only tunes, opening one lets others say what is written.
CLOSES = {_INTEGRATION: frozenset({"webhook_enabled", "queue_enabled"}), _STREAM: frozenset()}


# Fields that say what comes in, and nothing of the calls that go out. One that is added later does.
RECEIVES = frozenset(
	{
		"run_as_user",
		"webhook_enabled",
		"webhook_scheme",
		"webhook_secret",
		"webhook_secret_old",
		"webhook_verify_token",
		"webhook_tolerance",
		"webhook_url",
		"signature_header",
		"signature_prefix",
		"signature_algorithm",
		"signature_encoding",
		"signature_in",
		"signature_separator",
		"signed_content",
		"secret_encoding",
		"timestamp_header",
		"timestamp_prefix",
		"timestamp_unit",
		"certificate_url",
		"certificate_hosts",
		"handshake",
		"handshake_value",
		"handshake_condition",
		"handshake_answer",
		"handshake_until",
		"answer_with",
		"answer_text",
		"answer_type",
		"answer_headers",
		"answer_200",
		"empty_bodies",
		"queue_enabled",
		"queue_url",
		"queue_kind",
		"queue_name",
		"queue_end",
		"queue_group",
		"max_body_mb",
		"event_type_header",
		"event_type_path",
		"event_id_source",
		"event_id_header",
		"event_id_path",
		"event_time_header",
		"event_time_path",
		"same_id_other_body",
		"ordering_key_path",
		"events_path",
		"keep_outer",
		"event_format",
		"json_fields",
		"keep_files",
		"event_attempts",
		"event_retry_pauses",
		"event_dead_hours",
		"routes",
		"answer_rules",
	}
)


class NotAllowed(frappe.PermissionError, frappe.ValidationError):
	"""A change is not this person's to make; it stops a save like any other wrong setting."""


def may(kind: Kind, integration: Document | str | None, user: str | None = None) -> bool:
	"""Tell whether a person may do something about an integration, besides what their roles' permissions say.

	integration: its document, as it would be saved, or its name. Decide takes the role System Manager, where it runs as
	somebody else; one that does not exist is nobody's own.
	"""
	user = user or frappe.session.user
	if kind != "Decide" or "System Manager" in frappe.get_roles(user):
		return True
	return bool(integration) and _runs_as(integration) == user and not _stores_as_it_is(integration)


def check(kind: Kind, integration: str | None) -> None:
	"""Raise PermissionError unless the user may write an integration's settings, and do this kind of thing with them."""
	known = integration and frappe.db.exists(_INTEGRATION, integration)
	frappe.has_permission(_INTEGRATION, "write", integration if known else None, throw=True)
	if not may(kind, integration):
		frappe.throw(_what_to_do(integration, _runs_as(integration)), NotAllowed)


def check_integration(doc: Document) -> None:
	"""Refuse settings of an integration that act as somebody else. A new one acts as who makes it, unless it says."""
	before, user = doc.get_doc_before_save(), frappe.session.user
	if not is_system_manager():
		if before is None:
			doc.run_as_user = doc.run_as_user or user
		if doc.run_as_user != user and (before is None or _has_changed(doc, before, "run_as_user")):
			sentence = _("only a System Manager may set another user than themselves")
			refuse(doc, "run_as_user", sentence, NotAllowed)
	_check_decisions(doc, doc)
	_check_routes(doc, before)
	_check_queue(doc, before)
	if doc.auth_type == "Connected App" and not is_system_manager():
		_check_token(doc, before, user)


def _check_routes(doc: Document, before: Document | None) -> None:
	"""Refuse new routes that lead to a stream which the user may not write, or through which they may say nothing.

	An event is written by its own integration's user, and yet into the bindings of the stream's: whose sender it is says
	there what is newer, and what is gone.
	"""
	known = [_values(row) for row in before.routes] if before else []
	for row in doc.routes:
		if not row.stream or _values(row) in known or is_system_manager():
			continue
		integration = frappe.db.get_value(_STREAM, row.stream, "integration")
		if not frappe.has_permission(_STREAM, "write", row.stream):
			sentence = _("you may not write {0} {1}").format(_(_STREAM), row.stream)
			refuse(doc, "routes", sentence, NotAllowed)
		if row.action != "Start Sync" and integration != doc.name and not may("Decide", integration):
			refuse(doc, "routes", _what_to_do(integration, _runs_as(integration)), NotAllowed)


def _check_queue(doc: Document, before: Document | None) -> None:
	"""Refuse to have another list or stream of the site's own Redis read, whose URL a person here has not entered.

	Its owner's site_config.json names it, and nothing says that all that is kept there is for integrations: what is read
	from a list is gone from it.
	"""
	if is_system_manager() or not doc.queue_enabled or doc.queue_url:
		return
	changed = (field for field in changes(doc, before) if field.startswith("queue_"))
	if field := next(changed, None):
		sentence = _(
			"only a System Manager may decide what is read from external_redis_url of site_config.json"
		)
		refuse(doc, field, sentence, NotAllowed)


def check_stream(doc: Document) -> None:
	"""Refuse a stream that is new, or does something else than before, where its integration writes as somebody else."""
	before = doc.get_doc_before_save()
	rows = [*doc.mapping, *(before.mapping if before else ())]
	if any(row.as_is for row in rows) and not is_system_manager() and next(decisions(doc), None):
		sentence = _("only a System Manager may store text as it is, or change a stream that does")
		refuse(doc, "mapping", sentence, NotAllowed)
	for integration in {before.integration, doc.integration} if before else {doc.integration}:
		_check_decisions(doc, integration)


def check_removal(doc: Document, integration: str) -> None:
	"""Refuse to delete or rename settings that act as somebody else."""
	if not may("Decide", integration):
		refuse(doc, "", _what_to_do(integration, _runs_as(integration)), NotAllowed)


def refuse_by_itself(row: Document) -> None:
	"""Refuse to save, delete or rename a row of a table without its document, which is what checks it."""
	text = _("{0}: a row is changed with its document, {1} {2}.")
	frappe.throw(text.format(_(row.doctype), _(row.parenttype or ""), row.parent or ""), NotAllowed)


def decisions(doc: Document) -> Iterator[str]:
	"""Give the fields whose change, since the document was last saved, decides and does not only tune."""
	before = doc.get_doc_before_save()
	closes = CLOSES[doc.doctype]
	for field in changes(doc, before):
		closed = before and field in closes and not cast("Check", doc.get(field))
		if field not in TUNES[doc.doctype] and not closed:
			yield field


def changes(doc: Document, before: Document | None) -> Iterator[str]:
	"""Give the fields that a save would change: those of the system as well, and tables whose rows or order differ."""
	for df in doc.meta.fields:
		holds = df.fieldtype not in no_value_fields or df.fieldtype in table_fields
		if holds and (before is None or _has_changed(doc, before, df.fieldname)):
			yield df.fieldname


def _check_decisions(doc: Document, integration: Document | str | None) -> None:
	if may("Decide", integration):
		return
	field = next(decisions(doc), None)
	if field:
		name = integration.name if isinstance(integration, Document) else integration
		refuse(doc, field, _what_to_do(name, _runs_as(integration)), NotAllowed)


def _check_token(doc: Document, before: Document | None, user: str) -> None:
	"""Refuse to send the token of another one's consent anywhere else than where it goes already."""
	if before is None:
		doc.connected_user = doc.connected_user or user
	if doc.connected_user != user and any(field not in RECEIVES for field in decisions(doc)):
		refuse(
			doc,
			"connected_user",
			_(
				"the requests use the token of {0}. Set yourself, or ask a System Manager to save this: only they may change where another user's token is sent"
			).format(doc.connected_user or "Administrator"),
			NotAllowed,
		)


def is_system_manager() -> bool:
	"""Tell whether the user may decide about every integration."""
	return may("Decide", None)


def _runs_as(integration: Document | str | None) -> str:
	"""Return who an integration writes as: nobody named is Administrator."""
	if isinstance(integration, Document):
		return integration.run_as_user or "Administrator"
	return frappe.db.get_value(_INTEGRATION, integration, "run_as_user") or "Administrator"


def _stores_as_it_is(integration: Document | str) -> str:
	"""Return a stream of an integration that stores text as it comes, "" if none does: who says where it comes from
	could put a script before everybody who opens a document."""
	name = integration.name if isinstance(integration, Document) else integration
	streams = frappe.get_all(_STREAM, filters={"integration": name}, pluck="name")
	filters = {"parenttype": _STREAM, "parent": ["in", streams], "as_is": 1}
	return (streams and frappe.db.get_value("Sync Field Mapping", filters, "parent")) or ""


def _what_to_do(integration: str | None, run_as_user: str) -> str:
	if run_as_user == frappe.session.user and (stream := _stores_as_it_is(integration or "")):
		return _("{0} stores text as it is. Ask a System Manager to do this").format(stream)
	return _(
		"{0} writes as {1}. Ask a System Manager to do this, or set Run As User of {0} to yourself first: only a System Manager may decide what is done as another user"
	).format(integration, run_as_user)


def _has_changed(doc: Document, before: Document, field: str) -> bool:
	df = doc.meta.get_field(field)
	if df.fieldtype in table_fields:
		return [_values(row) for row in doc.get(field)] != [_values(row) for row in before.get(field)]
	if df.fieldtype == "Password" and doc.get(field) and doc.is_dummy_password(doc.get(field)):
		return False  # a form sends the mask back: the secret stays
	return _value(doc, field) != _value(before, field)


def _values(row: Document) -> list[Any]:
	"""Return the settings of a row."""
	return [_value(row, df.fieldname) for df in row.meta.fields if df.fieldtype not in no_value_fields]


def _value(doc: Document, field: str) -> Any:
	"""Return a value as it compares, whether it comes from the database, a form or a script."""
	return cast(doc.meta.get_field(field).fieldtype, doc.get(field)) or ""
