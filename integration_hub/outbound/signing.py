"""Signatures of outgoing messages, as their receivers verify them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time

from integration_hub.connectors.errors import ConfigurationError
from integration_hub.lazy_messages import _


def signed_headers(kind: str, secret: str, id: str, body: bytes) -> dict[str, str]:
	"""Return the headers that sign a body; id: the message's, the same for each attempt.

	Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
	HMAC: SHA-256 in hex, as this app's own receivers take it. Frappe: as a Frappe site signs its webhooks.
	Raises ConfigurationError for a secret that cannot sign.
	"""
	if not kind:
		return {}
	if not secret:
		raise ConfigurationError(_("is needed to sign messages"), field="signing_secret")
	if kind == "Standard Webhooks":
		return _standard(secret, id, body)
	digest = hmac.new(secret.encode(), body, hashlib.sha256)
	if kind == "Frappe":
		return {"X-Frappe-Webhook-Signature": base64.b64encode(digest.digest()).decode()}
	return {"X-Webhook-Id": id, "X-Webhook-Signature": digest.hexdigest()}


def _standard(secret: str, id: str, body: bytes) -> dict[str, str]:
	timestamp = f"{time.time():.0f}"
	content = f"{id}.{timestamp}.".encode() + body
	signature = base64.b64encode(hmac.new(_key(secret), content, hashlib.sha256).digest()).decode()
	return {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}


def _key(secret: str) -> bytes:
	"""Return the key of `whsec_` and base64; raises ConfigurationError for a secret that is none."""
	text = secret.removeprefix("whsec_")
	try:
		key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
	except (binascii.Error, ValueError):
		key = b""
	if not key:
		raise ConfigurationError(_("must be whsec_ and base64 for Standard Webhooks"), field="signing_secret")
	return key
