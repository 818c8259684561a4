"""Stripe: https://docs.stripe.com/webhooks/signature"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence

from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.schemes.base import Places, Scheme, require, require_fresh, sent, with_headers


class StripeScheme(Scheme):
	"""`Stripe-Signature: t=…,v1=…,v1=…`: the hex HMAC-SHA256 of `timestamp.body`; other versions are ignored.

	A repeated event differs from the first one in `pending_webhooks`, which counts down.
	"""

	same_id = "Duplicate"
	places = Places(type_path="type", time_path="created", record_path="data.object")

	def verify(self, request: Request, secrets: Sequence[str]) -> None:
		"""Return if one of the `v1` signatures is right and the time `t` is near; raises BadSignature."""
		parts = [part.partition("=") for part in sent(request, "Stripe-Signature").split(",")]
		timestamp = next((value for name, _, value in parts if name.strip() == "t"), "")
		given = [value for name, _, value in parts if name.strip() == "v1"]
		require_fresh(timestamp, self.config.webhook_tolerance)
		require(given, [_signature(timestamp, request.body, secret) for secret in secrets])

	def signed(self, request: Request, secret: str) -> Request:
		"""Return the request signed with the current time."""
		timestamp = f"{time.time():.0f}"
		signature = _signature(timestamp, request.body, secret)
		return with_headers(request, {"Stripe-Signature": f"t={timestamp},v1={signature}"})


def _signature(timestamp: str, body: bytes, secret: str) -> str:
	return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
