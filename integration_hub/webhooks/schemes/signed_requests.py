"""Senders that sign by a policy of settings: what is signed, where the signature and its time stand, by which algorithm."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.webhooks.messages import Request, first_values
from integration_hub.webhooks.schemes.base import BadSignature, CannotSign, Scheme, require, with_headers
from integration_hub.webhooks.schemes.certificates import hosts_of, key_at
from integration_hub.webhooks.schemes.freshness import now_as, require_recent
from integration_hub.webhooks.schemes.keys import (
	DIGESTS,
	PUBLIC_KEY_ALGORITHMS,
	decoded,
	encoded,
	mac,
	public_key,
	shared_key,
	verifies,
)
from integration_hub.webhooks.schemes.signature_places import (
	SEPARATORS,
	has_timestamp,
	signature_headers,
	signatures,
	timestamp_of,
)
from integration_hub.webhooks.schemes.signed_content import (
	Signing,
	headers_in,
	mentions,
	render,
	signed_paths,
	template_problem,
)
from integration_hub.webhooks.splitting import Item, TooManyEvents, split, split_path


class SignedScheme(Scheme):
	"""Verifies each event that is signed for itself, else the request; how a signature fits is the subclass's."""

	algorithms: Sequence[str] = ()

	def __init__(self, config: IntegrationConfig) -> None:
		super().__init__(config)
		if config.signature_algorithm not in self.algorithms:
			raise ConfigurationError(
				f"{config.name}: {config.signature_algorithm!r} is not one of {', '.join(self.algorithms)}.",
				field="signature_algorithm",
			)
		if problem := template_problem(config.signed_content):
			raise ConfigurationError(f"{config.name}: {problem}", field="signed_content")
		self.signed_headers = _signed_headers(config)
		self.signed_paths = signed_paths(config)

	def verify(self, request: Request, secrets: Sequence[str]) -> None:
		"""Return if one of `secrets` fits a signature of what is signed, and its time is near; raises as the base does."""
		signing = Signing(request, self.config)
		if self.config.signature_in == "Body":
			for item in signed_items(signing.payload, self.config):
				self._verify(replace(signing, item=item), secrets)
		else:
			self._verify(signing, secrets)

	def _verify(self, signing: Signing, secrets: Sequence[str]) -> None:
		config, request = self.config, signing.request
		given = signatures(config, request, signing.item)
		if has_timestamp(config):
			signing.timestamp = timestamp_of(config, request, signing.item)
			require_recent(signing.timestamp, config.timestamp_unit, config.webhook_tolerance)
		self.require(given, signing, secrets)

	def require(self, given: Sequence[str], signing: Signing, secrets: Sequence[str]) -> None:
		"""Return if one of the signatures is right; raises BadSignature, and ConfigurationError for what is no secret."""
		raise NotImplementedError


def signed_items(payload: Any, config: IntegrationConfig) -> list[Any]:
	"""Return the events of a body that hold a signature each: none may be without. Raises BadSignature.

	A body without events is proven by nothing: anybody could have sent it, and have a handshake in it answered.
	"""
	path = config.events_path.strip()
	try:
		items = split(payload, split_path(path)) if path else [Item(payload)]
	except TooManyEvents:
		raise BadSignature("signature_malformed") from None
	if not items or any(item.problem for item in items):
		raise BadSignature("signature_missing")
	return [item.value for item in items]


def _signed_headers(config: IntegrationConfig) -> Container[str]:
	named = headers_in(config.signed_content)
	if mentions(config.signed_content, "id"):
		named += tuple(name.strip().lower() for name in config.event_id_header.split(","))
	if has_timestamp(config) and config.timestamp_header and "{" not in config.timestamp_header:
		named += (config.timestamp_header.lower(),)
	return named


class HMACScheme(SignedScheme):
	"""The HMAC of what is signed, with a secret that sender and receiver share."""

	algorithms = DIGESTS

	def require(self, given: Sequence[str], signing: Signing, secrets: Sequence[str]) -> None:
		"""Compare in constant time, in the way that a signature is written."""
		fold: Callable[[str], str] = str.lower if self.config.signature_encoding == "hex" else str
		require(
			[fold(text) for text in given],
			[self.signature(replace(signing, secret=secret), secret) for secret in secrets],
		)

	def signature(self, signing: Signing, secret: str) -> str:
		"""Return the signature of a request with `secret`, without the prefix."""
		content = render(self.config.signed_content, signing)
		return self.sign(content, secret)

	def sign(self, content: bytes, secret: str) -> str:
		"""Return the signature of a content, without the prefix."""
		digest = mac(shared_key(secret, self.config), content, self.config.signature_algorithm)
		return encoded(digest, self.config.signature_encoding)

	def signed(self, request: Request, secret: str) -> Request:
		"""Return the request with the current time, where that is signed, and the signature in its place."""
		config = self.config
		if config.signature_in in ("Body", "URL Path") or "{" in config.timestamp_header:
			raise CannotSign("The signature is a part of what is sent: only the sender can sign.")
		timestamp = now_as(config.timestamp_unit) if has_timestamp(config) else ""
		if timestamp and config.timestamp_header and not config.timestamp_prefix:
			request = with_headers(request, {config.timestamp_header: timestamp})
		try:
			signature = self.signature(Signing(request, config, timestamp, secret), secret)
		except BadSignature as error:
			raise CannotSign(
				f"The sender's own headers are signed ({error}): only the sender can sign."
			) from None
		return placed(request, config, signature, timestamp)


def placed(request: Request, config: IntegrationConfig, signature: str, timestamp: str = "") -> Request:
	"""Return the request with a signature or token where the settings look for it."""
	value = config.signature_prefix + signature
	if config.signature_in == "Query":
		return with_query(request, {config.signature_header: value})
	if config.signature_in == "URL Path":
		return replace(request, token=value)
	if config.timestamp_prefix:
		separator = SEPARATORS.get(config.signature_separator, "") or ","
		value = f"{config.timestamp_prefix}{timestamp}{separator}{value}"
	return with_headers(request, {signature_headers(config)[0].replace("*", "1"): value})


def with_query(request: Request, values: dict[str, str]) -> Request:
	"""Return the request with more parameters in its query."""
	parts = urlsplit(request.url)
	query = "&".join(filter(None, [parts.query, urlencode(values)]))
	return replace(request, url=parts._replace(query=query).geturl(), query=first_values(query))


class PublicKeyScheme(SignedScheme):
	"""A signature that the sender's private key makes and its public key, *Webhook Secret*, verifies."""

	algorithms = PUBLIC_KEY_ALGORITHMS

	def require(self, given: Sequence[str], signing: Signing, secrets: Sequence[str]) -> None:
		"""Try each signature with each key."""
		wanted = [decoded(text, self.config.signature_encoding) for text in given]
		fits = partial(self._fits, wanted)
		if not any(fits(replace(signing, secret=secret)) for secret in secrets):
			raise BadSignature("signature_wrong")

	def _fits(self, wanted: Sequence[bytes], signing: Signing) -> bool:
		content, key = render(self.config.signed_content, signing), self.key(signing)
		return any(verifies(key, self.config.signature_algorithm, each, content) for each in wanted)

	def key(self, signing: Signing) -> Any:
		"""Return the key that verifies: of the certificate that the sender names, else the secret; raises as verify does."""
		config = self.config
		if config.certificate_url:
			url = render(config.certificate_url, signing).decode("utf-8", "replace")
			hosts = hosts_of(config.certificate_hosts)
			return key_at(url, hosts, config.signature_algorithm, config, self.allowed_hosts)
		try:
			return public_key(signing.secret, self.config.signature_algorithm)
		except ValueError as error:
			raise ConfigurationError(
				f"{self.config.name}: the public key is not one of {self.config.signature_algorithm}: {error}.",
				field="webhook_secret",
			) from None

	def signed(self, request: Request, secret: str) -> Request:
		"""Raise CannotSign: who has the public key can sign nothing."""
		raise CannotSign("The private key is the sender's: only the sender can sign.")
