"""Senders that ask, by a GET, whether the endpoint is the one that was entered with them: Meta and X."""

from __future__ import annotations

import json
from collections.abc import Sequence

from integration_hub.webhooks.messages import Request, Response
from integration_hub.webhooks.schemes.base import BadSignature, require
from integration_hub.webhooks.schemes.challenges import require_signable
from integration_hub.webhooks.schemes.signed_requests import HMACScheme

_MAX_CHALLENGE = 200


class MetaScheme(HMACScheme):
	"""Meta: https://developers.facebook.com/docs/graph-api/webhooks/getting-started"""

	def handshake(self, request: Request, secrets: Sequence[str], verify_token: str) -> Response | None:
		"""Answer with `hub.challenge` if `hub.verify_token` is right; raises BadSignature."""
		if request.query.get("hub.mode") != "subscribe":
			return None
		if not verify_token:
			raise BadSignature("no_secret_set")
		require([request.query.get("hub.verify_token", "")], [verify_token])
		# As text, and not as a page: anybody can choose what is repeated here.
		content = request.query.get("hub.challenge", "")[:_MAX_CHALLENGE]
		return Response(200, "challenge", content, "text/plain")


class XScheme(HMACScheme):
	"""X: https://docs.x.com/x-api/webhooks/quickstart

	The answer to a CRC is what an event's signature is: an HMAC, under the same secret, of a text anybody may
	choose. So only texts are signed that no event's body can be.
	"""

	signs_challenges = True

	def handshake(self, request: Request, secrets: Sequence[str], verify_token: str) -> Response | None:
		"""Answer a CRC with the HMAC of its token; raises BadSignature for a malformed one."""
		if "crc_token" not in request.query:
			return None
		token = request.query["crc_token"]
		require_signable(token)
		signature = self.config.signature_prefix + self.sign(token.encode(), secrets[0])
		return Response(200, "challenge", json.dumps({"response_token": signature}))
