"""Whitelisted methods of the webhook endpoint, and what people do with it."""

import frappe
from werkzeug.wrappers import Request, Response

from integration_hub.integration_hub import exports, run_as, webhook_endpoint
from integration_hub.runtime.frappe import endpoint
from integration_hub.webhooks.presets import catalogue
from integration_hub.webhooks.receiver import response


@frappe.whitelist(allow_guest=True, methods=["GET", "POST", "PUT", "DELETE"], xss_safe=True)
def webhook(**kwargs) -> Response:
	"""The endpoint for external systems: POST to `/api/method/integration_hub.api.webhook/<integration>`.

	Answers JSON with a reason word; see webhooks.receive. The arguments Frappe made of the body are not
	used: only the raw body is what was signed.
	"""
	return response(endpoint.answer())


def prepare_webhook_request() -> None:
	"""Prepare each request; see runtime.frappe.endpoint."""
	endpoint.prepare()


def finish_webhook_request(response: Response | None = None, request: Request | None = None) -> None:
	"""Finish each request; see runtime.frappe.endpoint."""
	if request is not None:
		endpoint.finish(request, response)
		exports.finish(request, response)


@frappe.whitelist(methods=["GET"])
def senders() -> list[dict]:
	"""Return the catalogue of senders: what each needs, and where the URL goes; see webhooks.presets."""
	frappe.has_permission("Integration Settings", "read", throw=True)
	return catalogue()


@frappe.whitelist(methods=["POST"])
def accept_new_secret(integration: str) -> str:
	"""Take the secret that the sender's handshake brings, for some minutes; see webhook_endpoint.accept_secret."""
	run_as.check("Decide", integration)
	return webhook_endpoint.accept_secret(integration)


@frappe.whitelist(methods=["POST"])
def send_test_webhook(integration: str, event_type: str = "", payload: str = "") -> dict:
	"""Give the integration's endpoint an event signed as its sender would; see webhook_endpoint.send_test."""
	run_as.check("Decide", integration)
	return webhook_endpoint.send_test(integration, event_type, payload)


@frappe.whitelist(methods=["POST"])
def rotate_webhook_secret(integration: str, secret: str, drop_previous: bool | str = False) -> None:
	"""Ask senders for a new secret, and go on taking the one before it; see webhook_endpoint.rotate_secret."""
	run_as.check("Decide", integration)
	webhook_endpoint.rotate_secret(integration, secret, frappe.utils.sbool(drop_previous) is True)
