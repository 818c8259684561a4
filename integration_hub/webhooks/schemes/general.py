"""HMAC over the raw body, in the general form and as senders have settled it for themselves (RFC 2104)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.schemes.base import BadSignature, Places, Scheme, require, sent, with_headers

_ALGORITHMS = ("sha256", "sha512", "sha1")


class HMACScheme(Scheme):
	"""Header, algorithm, encoding and prefix from settings."""

	def __init__(self, config: IntegrationConfig):
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
		given = sent(request, self.header)
		if not given.startswith(self.prefix):
			raise BadSignature("signature_malformed")
		signature = given[len(self.prefix) :]
		require(
			[signature.lower() if self.encoding == "hex" else signature],
			[self.sign(request.body, secret) for secret in secrets],
		)

	def signed(self, request: Request, secret: str) -> Request:
		return with_headers(request, {self.header: self.prefix + self.sign(request.body, secret)})

	def sign(self, body: bytes, secret: str) -> str:
		"""Return the signature of a body, without the prefix."""
		digest = hmac.digest(secret.encode(), body, self.algorithm)
		return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()


class SettledHMAC(HMACScheme):
	"""An HMAC-SHA256 whose sender has settled header, encoding and prefix."""

	header, encoding, prefix, algorithm = "", "hex", "", "sha256"

	def __init__(self, config: IntegrationConfig):
		Scheme.__init__(self, config)


class GitHubScheme(SettledHMAC):
	"""https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries

	The older X-Hub-Signature (SHA-1) is not looked at. A redelivery keeps its X-GitHub-Delivery.
	"""

	header, prefix = "X-Hub-Signature-256", "sha256="
	places = Places(id_headers=("x-github-delivery",), id_path="", type_headers=("x-github-event",))


class ShopifyScheme(SettledHMAC):
	"""https://shopify.dev/docs/apps/build/webhooks/subscribe/https

	X-Shopify-Event-Id tells duplicates: https://shopify.dev/docs/apps/build/webhooks/ignore-duplicates
	"""

	header, encoding = "X-Shopify-Hmac-Sha256", "base64"
	places = Places(
		id_headers=("x-shopify-event-id", "x-shopify-webhook-id"),
		id_path="",
		type_headers=("x-shopify-topic",),
	)


class FrappeScheme(SettledHMAC):
	"""Frappe's outgoing Webhook: frappe/integrations/doctype/webhook/webhook.py, get_webhook_headers.

	It sends no id: the hash of the body is the key, so a body has to hold what tells one event from the next
	(`modified`, for example).
	"""

	header, encoding = "X-Frappe-Webhook-Signature", "base64"
	places = Places(id_path="")
