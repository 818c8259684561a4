"""Slack: https://docs.slack.dev/authentication/verifying-requests-from-slack"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from typing import Any

from integration_hub.webhooks.messages import Request, Response
from integration_hub.webhooks.schemes.base import Places, Scheme, require, require_fresh, sent, with_headers


class SlackScheme(Scheme):
	"""`X-Slack-Signature: v0=…`: the hex HMAC-SHA256 of `v0:timestamp:body`."""

	# Events have an id; commands and interactions, sent as forms, have a trigger of their own each.
	signed_headers = ("x-slack-request-timestamp",)
	places = Places(
		id_path="event_id || trigger_id", type_path="event.type || command || type", record_path="event"
	)

	def verify(self, request: Request, secrets: Sequence[str]) -> None:
		"""Return if the signature of time and body is right and the time is near; raises BadSignature."""
		given = sent(request, "X-Slack-Signature")
		timestamp = request.headers.get("x-slack-request-timestamp", "")
		require_fresh(timestamp, self.config.webhook_tolerance)
		require([given], [_signature(timestamp, request.body, secret) for secret in secrets])

	def signed(self, request: Request, secret: str) -> Request:
		"""Return the request signed with the current time."""
		timestamp = f"{time.time():.0f}"
		headers = {
			"X-Slack-Request-Timestamp": timestamp,
			"X-Slack-Signature": _signature(timestamp, request.body, secret),
		}
		return with_headers(request, headers)

	def challenge(self, payload: Any) -> Response | None:
		"""Answer a URL verification: https://docs.slack.dev/reference/events/url_verification"""
		if not isinstance(payload, dict) or payload.get("type") != "url_verification":
			return None
		return Response(200, "challenge", json.dumps({"challenge": str(payload.get("challenge", ""))}))


def _signature(timestamp: str, body: bytes, secret: str) -> str:
	content = f"v0:{timestamp}:".encode() + body
	return "v0=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
