"""Slack: https://docs.slack.dev/authentication/verifying-requests-from-slack"""

from __future__ import annotations

import json
from typing import Any

from integration_hub.webhooks.messages import Response
from integration_hub.webhooks.schemes.signed_requests import HMACScheme


class SlackScheme(HMACScheme):
	"""`X-Slack-Signature: v0=…`: the hex HMAC-SHA256 of `v0:timestamp:body`."""

	def challenge(self, payload: Any) -> Response | None:
		"""Answer a URL verification: https://docs.slack.dev/reference/events/url_verification"""
		if not isinstance(payload, dict) or payload.get("type") != "url_verification":
			return None
		return Response(200, "challenge", json.dumps({"challenge": str(payload.get("challenge", ""))}))
