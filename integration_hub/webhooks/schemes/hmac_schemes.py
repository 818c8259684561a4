"""Senders that sign by HMAC and name the type in a header that they do not sign: the body may contradict it."""

from __future__ import annotations

import re
from typing import Any

from integration_hub.webhooks.messages import Request, Response
from integration_hub.webhooks.schemes.signed_requests import HMACScheme

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


class GitHubScheme(HMACScheme):
	"""GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries

	The older X-Hub-Signature (SHA-1) is not looked at. A redelivery keeps its X-GitHub-Delivery.
	https://docs.github.com/en/webhooks/webhook-events-and-payloads
	"""

	def misfit(self, event_type: str, payload: Any) -> str:
		"""Compare X-GitHub-Event with the object that the body holds for that event."""
		key = _GITHUB_KEYS.get(event_type)
		if not key or not isinstance(payload, dict) or key in payload:
			return ""
		other = next((key for key in _GITHUB_KEYS.values() if key in payload), "")
		return f"X-GitHub-Event says {event_type}, and the body holds {other}" if other else ""


class ShopifyScheme(HMACScheme):
	"""Shopify: https://shopify.dev/docs/apps/build/webhooks/subscribe/https

	X-Shopify-Event-Id tells duplicates, but for topics: what one action does is told under several of them with one
	id. https://shopify.dev/docs/apps/build/webhooks/ignore-duplicates
	"""

	def misfit(self, event_type: str, payload: Any) -> str:
		"""Compare X-Shopify-Topic with the kind of object in `admin_graphql_api_id`."""
		gid = payload.get("admin_graphql_api_id") if isinstance(payload, dict) else None
		told = _SHOPIFY_KINDS.get(event_type.partition("/")[0])
		kind = gid.removeprefix("gid://shopify/").partition("/")[0] if isinstance(gid, str) else ""
		if told and kind in _SHOPIFY_KINDS.values() and kind != told:
			return f"X-Shopify-Topic says {event_type}, and the body is a {kind}"
		return ""


class WooCommerceScheme(HMACScheme):
	"""WC_Webhook of WooCommerce: includes/class-wc-webhook.php.

	X-WC-Webhook-Delivery-ID is made of the webhook and the second. A new webhook is tried by a POST of its own
	number, unsigned, which has to be answered 200.
	"""

	def misfit(self, event_type: str, payload: Any) -> str:
		"""Compare X-WC-Webhook-Topic with the body: a deletion holds an id alone."""
		if event_type.endswith(".deleted") and isinstance(payload, dict) and payload.keys() - {"id"}:
			return f"X-WC-Webhook-Topic says {event_type}, and the body holds more than an id"
		return ""

	def probe(self, request: Request) -> Response | None:
		"""Answer the unsigned ping (`webhook_id=1`) that WooCommerce sends when a webhook is saved."""
		if self.config.signature_header.lower() in request.headers or not _WOOCOMMERCE_PING.fullmatch(
			request.body
		):
			return None
		return Response(200, "ping")
