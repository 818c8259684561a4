"""Amazon SNS: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from integration_hub.connectors.errors import ConfigurationError
from integration_hub.webhooks.messages import Request, Response
from integration_hub.webhooks.schemes.base import BadSignature, CannotSign, CannotVerify, Scheme, require
from integration_hub.webhooks.schemes.certificates import fetched, hosts_of, is_of, key_at
from integration_hub.webhooks.schemes.freshness import require_recent
from integration_hub.webhooks.schemes.keys import decoded, verifies
from integration_hub.webhooks.schemes.signed_content import json_of

_ALGORITHMS = {"1": "rsa-sha1", "2": "rsa-sha256"}
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
	"Notification": _NOTIFICATION,
	"SubscriptionConfirmation": _CONFIRMATION,
	"UnsubscribeConfirmation": _CONFIRMATION,
}
_REQUIRED = ("Message", "MessageId", "Timestamp", "TopicArn")


class SNSScheme(Scheme):
	"""Messages that Amazon signs with a key of its own, the same for all topics: the secret is the topic's ARN.

	A subscription is confirmed by fetching its URL, on Amazon's host alone.
	"""

	def verify(self, request: Request, secrets: Sequence[str]) -> None:
		"""Return if Amazon signed the message, its topic is one of `secrets`, and its time is near; raises as the base does."""
		if not all(secret.startswith("arn:") for secret in secrets):
			raise ConfigurationError(
				f"{self.config.name}: the secret of Amazon SNS is the ARN of the topic.",
				field="webhook_secret",
			)
		message = json_of(request, self.config)
		content = _content(message)
		require([message["TopicArn"]], secrets)
		require_recent(message["Timestamp"], "ISO 8601", self.config.webhook_tolerance)
		algorithm = _ALGORITHMS.get(str(message.get("SignatureVersion")))
		if not algorithm:
			raise BadSignature("signature_malformed")
		signature = decoded(_text(message, "Signature"), "base64")
		if not verifies(
			self._key(_text(message, "SigningCertURL"), algorithm), algorithm, signature, content
		):
			raise BadSignature("signature_wrong")

	def _key(self, url: str, algorithm: str) -> Any:
		return key_at(
			url, hosts_of(self.config.certificate_hosts), algorithm, self.config, self.allowed_hosts
		)

	def signed(self, request: Request, secret: str) -> Request:
		"""Raise CannotSign: the key is Amazon's."""
		raise CannotSign("Amazon SNS signs with a key of its own: only the sender can sign.")

	def challenge(self, payload: Any) -> Response | None:
		"""Confirm a subscription that Amazon has signed; raises BadSignature for a URL elsewhere, and CannotVerify."""
		if payload["Type"] != "SubscriptionConfirmation":
			return None
		url = _text(payload, "SubscribeURL")
		if not is_of(url, hosts_of(self.config.certificate_hosts)):
			raise BadSignature("subscribe_url_wrong")
		if fetched(url, self.config, self.allowed_hosts) is None:
			raise CannotVerify("subscription_not_confirmed")
		return Response(200, "challenge")


def _content(message: Any) -> bytes:
	"""Return what Amazon signs: names and values, each on a line, in the order of the names; raises BadSignature."""
	names = _SIGNED.get(message.get("Type")) if isinstance(message, dict) else None
	if not names:
		raise BadSignature("signature_missing")
	for name in _REQUIRED if names is _NOTIFICATION else names:
		_text(message, name)
	lines = [(name, message[name]) for name in names if message.get(name) is not None]
	if not all(isinstance(value, str) for _name, value in lines):
		raise BadSignature("signature_malformed")
	return "".join(f"{name}\n{value}\n" for name, value in lines).encode("utf-8", "replace")


def _text(message: Any, name: str) -> str:
	value = message.get(name)
	if not isinstance(value, str) or not value:
		raise BadSignature("signature_missing")
	return value
