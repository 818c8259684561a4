"""A secret that is sent along instead of signing: worth what the TLS around it is worth."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any

from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.redact import MASK
from integration_hub.webhooks.bodies import MalformedEvent, json_text
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.schemes.base import (
	BadSignature,
	CannotSign,
	Everything,
	Scheme,
	require,
	sent,
	with_headers,
)
from integration_hub.webhooks.schemes.signature_places import signatures, tokens_in
from integration_hub.webhooks.schemes.signed_content import json_of
from integration_hub.webhooks.schemes.signed_requests import placed, signed_items


class TokenScheme(Scheme):
	"""A header, the URL or the body holds the token, behind a prefix (`Bearer `, for example) if one is set."""

	signed_headers = Everything()

	@property
	def authenticate(self) -> str:  # RFC 6750, 3
		"""Return "Bearer" where the token is one (RFC 6750, section 3), for WWW-Authenticate."""
		is_bearer = self.config.signature_header.lower() == "authorization"
		return "Bearer" if is_bearer and self.config.signature_prefix.strip().lower() == "bearer" else ""

	def verify(self, request: Request, secrets: Sequence[str]) -> None:
		"""Return if one of `secrets` stands in its place, in each event of the body if it stands there; raises BadSignature."""
		config = self.config
		items = signed_items(json_of(request, config), config) if config.signature_in == "Body" else [None]
		for item in items:
			require([text.strip() for text in signatures(config, request, item)], secrets)

	def concealed(self, body: bytes, payload: Any, secrets: Sequence[str]) -> tuple[bytes, Any]:
		"""Mask the token where it is a value of the body: what is stored is shown to others."""
		if self.config.signature_in != "Body":
			return body, payload
		try:
			masked = _masked(payload, partial(self._is_token, frozenset(secrets)))
		except RecursionError:
			raise MalformedEvent("body_too_deep") from None
		return json_text(masked).encode(), masked

	def _is_token(self, secrets: Container[str], value: Any) -> bool:
		"""Tell whether a value would be taken as the token: as it is, or with what `verify` takes off."""
		if isinstance(value, bool) or not isinstance(value, str | int | float):
			return False
		found = (str(value), *tokens_in(self.config, str(value)))
		return any(text.strip() in secrets for text in found)

	def signed(self, request: Request, secret: str) -> Request:
		"""Return the request with the secret in its place."""
		if self.config.signature_in == "Body":
			raise CannotSign("The token is a part of the event: only the sender can send it.")
		return placed(request, self.config, secret)


def _masked(value: Any, is_token: Callable[[Any], bool]) -> Any:
	if isinstance(value, dict):
		return {name: _masked(inner, is_token) for name, inner in value.items()}
	if isinstance(value, list):
		return [_masked(inner, is_token) for inner in value]
	return MASK if is_token(value) else value


class BasicScheme(Scheme):
	"""HTTP Basic authentication (RFC 7617); the secret is `user:password`."""

	authenticate = 'Basic realm="webhooks", charset="UTF-8"'
	signed_headers = Everything()

	def verify(self, request: Request, secrets: Sequence[str]) -> None:
		"""Return if the request has one of `secrets` as user:password (RFC 7617); raises as the base does."""
		if not all(":" in secret for secret in secrets):
			raise ConfigurationError(
				f"{self.config.name}: the secret of Basic is user:password.", field="webhook_secret"
			)
		kind, _, text = sent(request, "Authorization").partition(" ")
		try:
			if kind.lower() != "basic":
				raise ValueError
			given = base64.b64decode(text.strip(), validate=True).decode()
		except (binascii.Error, ValueError):
			raise BadSignature("signature_malformed") from None
		require([given], secrets)

	def signed(self, request: Request, secret: str) -> Request:
		"""Return the request with the secret as its Basic credentials."""
		return with_headers(request, {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"})
