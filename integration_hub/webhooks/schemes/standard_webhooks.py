"""Standard Webhooks, symmetric (v1) and asymmetric (v1a).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from integration_hub.connectors.errors import ConfigurationError
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.schemes.base import (
	BadSignature,
	CannotSign,
	Scheme,
	require_fresh,
	sent,
	with_headers,
)

_FAMILIES = ("webhook", "svix")  # the specification's headers, and those of the service it comes from
_MAX_SIGNATURES = 16


class StandardScheme(Scheme):
	"""The secret is `whsec_…` (v1, HMAC-SHA256) or the sender's public key `whpk_…` (v1a, Ed25519)."""

	signed_headers = tuple(f"{family}-{part}" for family in _FAMILIES for part in ("id", "timestamp"))

	def verify(self, request: Request, secrets: Sequence[str]) -> None:
		"""Return if one of the signatures of id, time and body is right and the time is near; raises as the base does."""
		keys = [_key(secret, self.config.name) for secret in secrets]
		family = next((f for f in _FAMILIES if f"{f}-id" in request.headers), "webhook")
		given = sent(request, f"{family}-signature").split(" ")[:_MAX_SIGNATURES]
		identity = request.headers.get(f"{family}-id", "")
		timestamp = request.headers.get(f"{family}-timestamp", "")
		if not identity:
			raise BadSignature("id_missing")
		require_fresh(timestamp, self.config.webhook_tolerance)
		content = f"{identity}.{timestamp}.".encode() + request.body
		signatures = [(version, _decoded(text)) for version, _, text in (s.partition(",") for s in given)]
		# A list: every pair is compared, whichever fits.
		fits = [_fits(key, version, signature, content) for key in keys for version, signature in signatures]
		if not any(fits):
			raise BadSignature("signature_wrong")

	def signed(self, request: Request, secret: str) -> Request:
		"""Return the request signed with the current time and the event's id, which is in its header already."""
		key = _key(secret, self.config.name)
		if not isinstance(key, bytes):
			raise CannotSign("The secret is the sender's public key (v1a): only the sender can sign.")
		timestamp = f"{time.time():.0f}"
		content = f"{request.headers['webhook-id']}.{timestamp}.".encode() + request.body
		signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
		return with_headers(request, {"webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"})


def _key(secret: str, integration: str) -> bytes | Ed25519PublicKey:
	"""Return the key a secret stands for; raises ConfigurationError."""
	kind, text = (
		(secret[:5], secret[5:]) if secret.startswith("whpk_") else ("", secret.removeprefix("whsec_"))
	)
	raw = _decoded(text)
	try:
		if raw and not secret.startswith("whsk_"):
			return Ed25519PublicKey.from_public_bytes(raw) if kind else raw
	except ValueError:
		pass
	raise ConfigurationError(
		f"{integration}: the secret is neither whsec_… nor a public key whpk_….", field="webhook_secret"
	)


def _fits(key: bytes | Ed25519PublicKey, version: str, signature: bytes, content: bytes) -> bool:
	# A secret makes v1 signatures and a public key checks v1a ones: never the one as the other.
	if isinstance(key, bytes):
		expected = hmac.new(key, content, hashlib.sha256).digest()
		return version == "v1" and hmac.compare_digest(expected, signature)
	try:
		key.verify(signature, content)
	except InvalidSignature:
		return False
	return version == "v1a"


def _decoded(text: str) -> bytes:
	"""Return what base64 stands for, b"" if it is none; padding may be left out."""
	try:
		return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
	except (binascii.Error, ValueError):
		return b""
