"""Whose name settings may use.

An integration writes as its Run As User, and calls with the token of its Connected App's user. Who sets up what it does
decides what is done in that name: without the role System Manager, the name has to be one's own.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import frappe
from frappe import _
from frappe.model import no_value_fields
from frappe.model.document import Document
from frappe.utils import cast

from integration_hub.integration_hub.settings import refuse

# Who gets the token, and over which way.
_TOKEN_FIELDS = (
	"auth_type",
	"connected_app",
	"connected_user",
	"connector",
	"base_url",
	"proxy",
	"verify_tls",
)
# Which secrets go to the host of a URL.
_SENT_TO = {
	"base_url": ("secret", "client_secret", "refresh_token"),
	"token_url": ("client_secret", "refresh_token"),
	"proxy": ("proxy_secret",),
}
# When a stream runs, and not what it does.
_TIMES = ("enabled", "schedule", "interval_minutes", "cron")


def check_integration(doc: Document) -> None:
	"""Refuse settings of an integration that act as somebody else. A new one acts as who makes it, unless it says."""
	if _may_use_any_name():
		return
	before, user = doc.get_doc_before_save(), frappe.session.user
	if before is None:
		doc.run_as_user = doc.run_as_user or user
	if _has_changed(doc, ("run_as_user",)) and doc.run_as_user != user:
		refuse(doc, "run_as_user", _("only a System Manager may set another user than themselves"))
	_check_secrets(doc)
	if doc.auth_type == "Connected App":
		_check_token(doc, user)
	if doc.run_as_user != user and _has_new_routes(doc):
		refuse(doc, "routes", _what_to_do(doc.name, doc.run_as_user))


def check_stream(doc: Document) -> None:
	"""Refuse a stream that is new, or does something else than before, where its integration writes as somebody else."""
	if _may_use_any_name():
		return
	run_as_user = frappe.db.get_value("Integration Settings", doc.integration, "run_as_user")
	if run_as_user == frappe.session.user:
		return
	before = doc.get_doc_before_save()
	if before is None or _meaning(doc) != _meaning(before):
		refuse(doc, "integration", _what_to_do(doc.integration, run_as_user))


def refuse_by_itself(row: Document) -> None:
	"""Refuse to save a row of a table without its document, which is what checks it."""
	frappe.throw(
		_("{0}: a row is saved with its document, {1} {2}.").format(
			_(row.doctype), _(row.parenttype or ""), row.parent or ""
		)
	)


def _may_use_any_name() -> bool:
	return "System Manager" in frappe.get_roles()


def _check_secrets(doc: Document) -> None:
	"""Refuse to send a secret that one cannot read to another host: who moves the address enters it again."""
	before = doc.get_doc_before_save()
	for url, secrets in _SENT_TO.items() if before else ():
		if _host(doc.get(url)) == _host(before.get(url)):
			continue
		for field in secrets:
			if doc.get(field) and doc.is_dummy_password(doc.get(field)):
				label = _(doc.meta.get_label(url))
				refuse(doc, field, _("enter it again: {0} leads to another host now").format(label))


def _host(url: str | None) -> tuple[str, str]:
	parts = urlsplit(url or "")
	return parts.scheme.lower(), parts.netloc.lower()


def _check_token(doc: Document, user: str) -> None:
	"""Refuse to send the token of another one's consent anywhere else than where it goes already."""
	if doc.get_doc_before_save() is None:
		doc.connected_user = doc.connected_user or user
	if doc.connected_user != user and _has_changed(doc, _TOKEN_FIELDS):
		refuse(
			doc,
			"connected_user",
			_(
				"these calls carry the token of {0}. Set yourself, or have a System Manager save this: only they may change where another one's token is sent"
			).format(doc.connected_user or "Administrator"),
		)


def _has_new_routes(doc: Document) -> bool:
	before = doc.get_doc_before_save()
	known = [_values(row) for row in before.routes] if before else []
	return any(_values(row) not in known for row in doc.routes)


def _what_to_do(integration: str, run_as_user: str | None) -> str:
	return _(
		"{0} writes as {1}. Have a System Manager save this, or set Run As User of {0} to yourself first: only a System Manager may say what is done as somebody else"
	).format(integration, run_as_user or "Administrator")


def _has_changed(doc: Document, fields: tuple[str, ...]) -> bool:
	before = doc.get_doc_before_save()
	return before is None or any(_value(doc, field) != _value(before, field) for field in fields)


def _meaning(stream: Document) -> tuple[dict[str, Any], list[dict[str, Any]]]:
	"""Return what decides what a stream does."""
	values = {field: value for field, value in _values(stream).items() if field not in _TIMES}
	return values, [_values(row) for row in stream.mapping]


def _values(doc: Document) -> dict[str, Any]:
	"""Return the settings of a document or row, without what the system keeps on it."""
	fields = [df for df in doc.meta.fields if df.fieldtype not in no_value_fields and not df.read_only]
	return {df.fieldname: _value(doc, df.fieldname) for df in fields}


def _value(doc: Document, field: str) -> Any:
	"""Return a value as it compares, whether it comes from the database, a form or a script."""
	return cast(doc.meta.get_field(field).fieldtype, doc.get(field)) or ""
