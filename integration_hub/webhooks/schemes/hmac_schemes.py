"""HMAC over the raw body, in the general form and as senders have settled it for themselves (RFC 2104)."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from typing import Any

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.webhooks.messages import Request, Response
from integration_hub.webhooks.schemes.base import BadSignature, Places, Scheme, require, sent, with_headers

# What a body of an event holds of it, for those that can be told by it.
_GITHUB_KEYS = {
	"check_run": "check_run",
	"check_suite": "check_suite",
	"deployment": "deployment",
	"discussion": "discussion",
	"fork": "forkee",
	"issue_comment": "comment",
	"issues": "issue",
	"ping": "zen",
	"pull_request": "pull_request",
	"pull_request_review": "review",
	"push": "commits",
	"release": "release",
	"workflow_job": "workflow_job",
	"workflow_run": "workflow_run",
}
# Topics begin with the first, and bodies say the second.
_SHOPIFY_KINDS = {
	"collections": "Collection",
	"customers": "Customer",
	"draft_orders": "DraftOrder",
	"fulfillments": "Fulfillment",
	"inventory_items": "InventoryItem",
	"locations": "Location",
	"orders": "Order",
	"products": "Product",
	"refunds": "Refund",
}
_WOOCOMMERCE_PING = re.compile(rb"webhook_id=[0-9]{1,20}")

_ALGORITHMS = ("sha256", "sha512", "sha1")


class HMACScheme(Scheme):
	"""Header, algorithm, encoding and prefix from settings."""

	def __init__(self, config: IntegrationConfig) -> None:
		super().__init__(config)
		self.header = config.signature_header
		self.prefix = config.signature_prefix
		self.encoding = config.signature_encoding
		self.algorithm = config.signature_algorithm
		if self.algorithm not in _ALGORITHMS:
			raise ConfigurationError(
				f"{config.name}: unknown algorithm {self.algorithm!r}.", field="signature_algorithm"
			)

	def verify(self, request: Request, secrets: Sequence[str]) -> None:
		"""Return if the header holds the HMAC of the body with one of `secrets`; raises BadSignature."""
		given = sent(request, self.header)
		if not given.startswith(self.prefix):
			raise BadSignature("signature_malformed")
		signature = given[len(self.prefix) :]
		require(
			[signature.lower() if self.encoding == "hex" else signature],
			[self.sign(request.body, secret) for secret in secrets],
		)

	def signed(self, request: Request, secret: str) -> Request:
		"""Return the request with the HMAC of its body in the header."""
		return with_headers(request, {self.header: self.prefix + self.sign(request.body, secret)})

	def sign(self, body: bytes, secret: str) -> str:
		"""Return the signature of a body, without the prefix."""
		digest = hmac.digest(secret.encode(), body, self.algorithm)
		return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()


class SettledHMAC(HMACScheme):
	"""An HMAC-SHA256 whose sender has settled header, encoding and prefix."""

	header, encoding, prefix, algorithm = "", "hex", "", "sha256"

	def __init__(self, config: IntegrationConfig) -> None:
		Scheme.__init__(self, config)


class GitHubScheme(SettledHMAC):
	"""GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries

	The older X-Hub-Signature (SHA-1) is not looked at. A redelivery keeps its X-GitHub-Delivery.
	https://docs.github.com/en/webhooks/webhook-events-and-payloads
	"""

	header, prefix = "X-Hub-Signature-256", "sha256="
	places = Places(
		id_headers=("x-github-delivery",), id_path="", type_headers=("x-github-event",), record_path=""
	)

	def misfit(self, event_type: str, payload: Any) -> str:
		"""Compare X-GitHub-Event with the object that the body holds for that event."""
		key = _GITHUB_KEYS.get(event_type)
		if not key or not isinstance(payload, dict) or key in payload:
			return ""
		other = next((key for key in _GITHUB_KEYS.values() if key in payload), "")
		return f"X-GitHub-Event says {event_type}, and the body holds {other}" if other else ""


class ShopifyScheme(SettledHMAC):
	"""Shopify: https://shopify.dev/docs/apps/build/webhooks/subscribe/https

	X-Shopify-Event-Id tells duplicates, but for topics: what one action does is told under several of them with one
	id. https://shopify.dev/docs/apps/build/webhooks/ignore-duplicates
	"""

	header, encoding = "X-Shopify-Hmac-Sha256", "base64"
	places = Places(
		id_headers=("x-shopify-event-id", "x-shopify-webhook-id"),
		id_path="",
		type_headers=("x-shopify-topic",),
		time_headers=("x-shopify-triggered-at",),
		record_path="",
	)

	def misfit(self, event_type: str, payload: Any) -> str:
		"""Compare X-Shopify-Topic with the kind of object in `admin_graphql_api_id`."""
		gid = payload.get("admin_graphql_api_id") if isinstance(payload, dict) else None
		told = _SHOPIFY_KINDS.get(event_type.partition("/")[0])
		kind = gid.removeprefix("gid://shopify/").partition("/")[0] if isinstance(gid, str) else ""
		if told and kind in _SHOPIFY_KINDS.values() and kind != told:
			return f"X-Shopify-Topic says {event_type}, and the body is a {kind}"
		return ""


class WooCommerceScheme(SettledHMAC):
	"""WC_Webhook of WooCommerce: includes/class-wc-webhook.php.

	X-WC-Webhook-Delivery-ID is made of the webhook and the second. A new webhook is tried by a POST of its own
	number, unsigned, which has to be answered 200.
	"""

	header, encoding = "X-WC-Webhook-Signature", "base64"
	places = Places(
		id_headers=("x-wc-webhook-delivery-id",),
		id_path="",
		type_headers=("x-wc-webhook-topic",),
		record_path="",
	)

	def misfit(self, event_type: str, payload: Any) -> str:
		"""Compare X-WC-Webhook-Topic with the body: a deletion holds an id alone."""
		if event_type.endswith(".deleted") and isinstance(payload, dict) and payload.keys() - {"id"}:
			return f"X-WC-Webhook-Topic says {event_type}, and the body holds more than an id"
		return ""

	def probe(self, request: Request) -> Response | None:
		"""Answer the unsigned ping (`webhook_id=1`) that WooCommerce sends when a webhook is saved."""
		if self.header.lower() in request.headers or not _WOOCOMMERCE_PING.fullmatch(request.body):
			return None
		return Response(200, "ping")


class FrappeScheme(SettledHMAC):
	"""Frappe's outgoing Webhook: frappe/integrations/doctype/webhook/webhook.py, get_webhook_headers.

	It sends no id: the hash of the body is the key, so a body has to hold what tells one event from the next
	(`modified`, for example).
	"""

	header, encoding = "X-Frappe-Webhook-Signature", "base64"
	places = Places(id_path="", record_path="")
