"""Who sent this? One small class a scheme; a scheme verifies or raises."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.registry import resolve

_MAX_SIGNATURE = 1024


class BadSignature(Exception):
	"""The request is not proven to come from the integration. The text is a reason word."""


class Signed(Protocol):
	"""What a scheme may look at: a webhooks.receive.Request."""

	headers: Mapping[str, str]
	body: bytes
	url: str
	query: Mapping[str, str]


class Scheme(Protocol):
	def verify(self, request: Signed, secrets: Sequence[str]) -> None:
		"""Return if one of `secrets` signed the request; raises BadSignature."""


class HMACScheme:
	"""Generic HMAC over the raw body: header, algorithm, encoding and prefix from settings (RFC 2104)."""

	def __init__(self, config: IntegrationConfig):
		self.header = config.signature_header.lower()
		self.prefix = config.signature_prefix
		self.encoding = config.signature_encoding
		self.digest = {"sha256": hashlib.sha256, "sha512": hashlib.sha512, "sha1": hashlib.sha1}.get(
			config.signature_algorithm
		)
		if not self.digest:
			raise ConfigurationError(
				f"{config.name}: unknown algorithm {config.signature_algorithm!r}.",
				field="signature_algorithm",
			)

	def verify(self, request: Signed, secrets: Sequence[str]) -> None:
		given = request.headers.get(self.header, "").strip()
		if not given:
			raise BadSignature("signature_missing")
		if len(given) > _MAX_SIGNATURE or not given.startswith(self.prefix):
			raise BadSignature("signature_malformed")
		signature = given[len(self.prefix) :]
		if self.encoding == "hex":
			signature = signature.lower()
		given_bytes = signature.encode("utf-8", "replace")  # compare_digest refuses non-ASCII text
		# A list: every secret is compared, whichever fits.
		fits = [
			hmac.compare_digest(given_bytes, self.sign(request.body, secret).encode()) for secret in secrets
		]
		if not any(fits):
			raise BadSignature("signature_wrong")

	def sign(self, body: bytes, secret: str) -> str:
		"""Return the signature of a body, without the prefix."""
		digest = hmac.new(secret.encode(), body, self.digest).digest()
		return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()


SCHEMES: dict[str, Callable[[IntegrationConfig], Scheme]] = {"HMAC": HMACScheme}


def scheme_for(config: IntegrationConfig, registered: Mapping[str, str] | None = None) -> Scheme:
	"""Return the scheme an integration names; raises ConfigurationError if it is unknown."""
	name = config.webhook_scheme
	if name in SCHEMES:
		return SCHEMES[name](config)
	if registered and name in registered:
		return resolve(registered[name])(config)
	known = ", ".join([*SCHEMES, *(registered or {})])
	raise ConfigurationError(
		f"{config.name}: webhook_scheme {name!r} is not one of {known}.", field="webhook_scheme"
	)
