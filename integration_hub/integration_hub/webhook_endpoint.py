"""Trying an integration's endpoint for a person, and changing the secret it asks for."""

from __future__ import annotations

import json
from typing import Any

import frappe
from frappe import _
from frappe.utils import escape_html, get_url

from integration_hub.connectors.errors import ConnectorError
from integration_hub.integration_hub.messages import refuse
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.receiver import EndpointRuntime
from integration_hub.runtime.frappe.secrets import FrappeSecrets
from integration_hub.stores.runtime import HubError
from integration_hub.webhooks.new_secrets import expect_secret, takes_secret
from integration_hub.webhooks.sample_event import try_endpoint
from integration_hub.webhooks.schemes import CannotSign

ENDPOINT_PATH = "/api/method/integration_hub.api.webhook/"


class _UncachedRuntime(EndpointRuntime):
	"""A runtime that reads the settings each time: a person who has just saved them tries what they saved."""

	def settings_stamp(self, integration: str) -> str:
		return FrappeRuntime.settings_stamp(self, integration)


def send_test(integration: str, event_type: str, payload: str) -> dict[str, Any]:
	"""Sign an event as the sender would, and give it to the endpoint.

	payload: JSON of an object, or "". Returns {"status", "reason", "event_id", "log"}; log: the name of the Webhook Log.
	"""
	try:
		tried = try_endpoint(
			_UncachedRuntime(),
			integration,
			f"{get_url()}{ENDPOINT_PATH}{integration}",
			event_type,
			_object(payload),
		)
	except (HubError, ConnectorError) as error:
		refuse(error, _("No Test Webhook Was Sent"))
	except CannotSign as error:
		frappe.throw(_(str(error)), title=_("No Test Webhook Was Sent"))
	answer = tried.answer
	return {"status": answer.status, "reason": answer.reason, "event_id": tried.event_id, "log": tried.log}


def _object(payload: str) -> dict[str, Any] | None:
	if not (payload or "").strip():
		return None
	try:
		value = json.loads(payload)
	except ValueError as error:
		frappe.throw(_("The body is not JSON: {0}").format(escape_html(str(error))))
	if not isinstance(value, dict):
		frappe.throw(_("The body has to be a JSON object."))
	return value


def rotate_secret(integration: str, secret: str, drop_previous: bool = False) -> None:
	"""Make `secret` the one that is asked for, and go on taking the one before it.

	drop_previous: the one before that, if it is still taken, is no longer.
	"""
	doc = frappe.get_doc("Integration Settings", integration)
	current = FrappeSecrets(integration).get("webhook_secret")
	if secret == current:
		frappe.throw(_("This is the current secret already."))
	if doc.webhook_secret_old and not drop_previous:
		place = f"{_(doc.doctype)} {doc.name}, {_(doc.meta.get_label('webhook_secret_old'))}"
		frappe.throw(
			_(
				"{0}: this secret is still accepted, and would not be anymore. Clear it when no sender uses it, or confirm that none does."
			).format(place),
			title=_("The Secret Was Not Rotated"),
		)
	doc.update({"webhook_secret": secret, "webhook_secret_old": current or ""})
	doc.save()


def accept_secret(integration: str) -> str:
	"""Take the secret that the sender's handshake brings, for some minutes; return until when."""
	runtime = FrappeRuntime()
	if not takes_secret(runtime.integration(integration)):
		frappe.throw(_("The sender does not choose the secret: enter it in Webhook Secret."))
	try:
		return expect_secret(runtime, integration)
	except HubError as error:
		refuse(error, _("No Secret Is Expected"))
