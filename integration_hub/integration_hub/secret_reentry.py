"""Secrets to be entered again: those that changed settings would send elsewhere, or in another form.

A secret goes where the settings say, in the form they say. Who can change them and not read it could send it to a host of
their own, hand it to a proxy, or put it where the other side shows it. It is not asked of System Managers: Frappe shows them
each password they ask for, so it would keep nothing from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from frappe import _
from frappe.model.document import Document

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.credential_checks import secrets_sent
from integration_hub.connectors.credential_templates import SECRETS
from integration_hub.connectors.registry import BUILT_IN
from integration_hub.connectors.secrets import SECRET_FIELDS
from integration_hub.integration_hub.run_as import RECEIVES, TUNES, changes, is_system_manager
from integration_hub.integration_hub.settings import refuse
from integration_hub.stores.settings import STATE

_DOCTYPE = "Integration Settings"
# Fields that have no say in how a call is made, besides those that only tune or say what comes in. One that is added
# later has.
_STILL = (
	frozenset({"integration_name", "test_path", "scope", *STATE})
	| frozenset(SECRET_FIELDS)
	| TUNES[_DOCTYPE]
	| RECEIVES
)
_URLS = ("base_url", "token_url")  # another path of the same host is still the same system
# What has no say in what a proxy is told.
_BEHIND_PROXY = frozenset(
	{
		*_URLS,
		"auth_type",
		"username",
		"api_key_name",
		"client_id",
		"connected_app",
		"connected_user",
		"aws_region",
		"aws_service",
		"client_authentication",
		"token_params",
		"token_path",
		"expires_path",
		"token_lifetime",
		"sent_in",
		"token_name",
		"token_format",
		"login_method",
		"login_headers",
		"login_body_format",
		"login_body",
		"jwt_algorithm",
		"jwt_key_encoding",
		"jwt_claims",
		"jwt_headers",
		"extra_headers",
		"extra_params",
	}
)
_SENT = (*SECRETS, "private_key", "client_key", "client_key_passphrase")


def check_secrets(doc: Document) -> None:
	"""Refuse to send a stored secret another way than before, unless it is entered again. One that is no longer used goes."""
	before = doc.get_doc_before_save()
	if not before or is_system_manager():
		return
	moved = [field for field in changes(doc, before) if field not in _STILL and _matters(field, doc, before)]
	if not moved:
		return
	config = IntegrationConfig.from_row({**doc.as_dict(), "name": doc.name})
	used = secrets_sent(config) if doc.connector in BUILT_IN else _SENT
	_require(doc, sorted(used), moved)
	for field in set(_SENT) - set(used):
		if _is_kept(doc, field):
			doc.set(field, "")  # it would have to be entered again before it is used
	_require(doc, ["proxy_secret"] if doc.proxy else [], [f for f in moved if f not in _BEHIND_PROXY])


def _require(doc: Document, secrets: Iterable[str], moved: list[str]) -> None:
	for field in secrets if moved else ():
		if _is_kept(doc, field):
			label = _(doc.meta.get_label(moved[0]))
			refuse(
				doc,
				field,
				_("enter it again: {0} has changed, and the secret would be sent another way").format(label),
			)


def _is_kept(doc: Document, field: str) -> bool:
	"""Tell whether a secret stays the one that is stored."""
	return bool(doc.get(field) and doc.is_dummy_password(doc.get(field)))


def _matters(field: str, doc: Document, before: Document) -> bool:
	return field not in _URLS or _host(doc.get(field)) != _host(before.get(field))


def _host(url: str | None) -> tuple[str, str]:
	parts = urlsplit(url or "")
	return parts.scheme.lower(), parts.netloc.lower()
