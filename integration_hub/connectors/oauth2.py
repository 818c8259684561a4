"""OAuth2 for machines: client credentials (RFC 6749, 4.4) and refresh token (RFC 6749, 6)."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import quote_plus

import requests
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error, WebApplicationClient
from requests.auth import AuthBase, HTTPBasicAuth

from integration_hub.connectors import errors
from integration_hub.connectors.answer_errors import refusal_class
from integration_hub.connectors.auth import HeaderAuth, printable
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.responses import NotJSON, complaint, loaded, page_of, shown_text
from integration_hub.connectors.secrets import Secret, Secrets

LEEWAY = 60  # a token this close to its end, in seconds, is refreshed before use
LOCK_SECONDS = 60
_TOKEN_SECONDS = 15.0  # an attempt
_REPEATED_SECONDS = 33.0  # a pause of ten and one attempt more still fit into the lock
_BUSY = frozenset({408, 429, 500, 502, 503, 504, *range(520, 526), 529, 530})
_NOT_NOW = "The token endpoint cannot answer now."
_REFUSAL_SECONDS = 30.0  # a refused refresh is not asked again for this long, by any process
_DEFAULT_LIFETIME = 3600  # where the server states no expires_in (RFC 6749, 5.1 makes it optional)


@dataclass(frozen=True, repr=False)
class Token:
	"""An access token as stored: one encrypted JSON value, so that its parts never disagree.

	expires_at: seconds since the epoch, in UTC. seed: fingerprint of the settings it was made from; a
	token made from other settings (a new client, a newly pasted refresh token) is not used.
	"""

	access_token: str
	expires_at: float
	refresh_token: str = ""
	seed: str = ""
	made_at: float = 0.0

	def fresh(self, seed: str) -> bool:
		"""Tell whether the token was fetched with these credentials (`seed`) and is far enough from its end to be used."""
		leeway = min(LEEWAY, max(self.expires_at - time.time(), 0) / 2)
		# A token made at a time to come was made by a clock that was ahead: its end is wrong by as much.
		real = self.made_at <= time.time() + LEEWAY
		return real and self.seed == seed and time.time() < self.expires_at - leeway

	def dumps(self) -> str:
		"""Return the token as JSON, as it is stored."""
		return json.dumps(asdict(self))

	@classmethod
	def loads(cls, text: str | None) -> Token | None:
		"""Read what `dumps` made; return None for no text and for one that is no token."""
		try:
			values = json.loads(text) if text else None
			return (
				cls(**{k: Secret(v) if isinstance(v, str) else v for k, v in values.items()})
				if values
				else None
			)
		except (ValueError, TypeError, AttributeError, RecursionError):
			return None

	def __repr__(self) -> str:
		return f"<Token until {self.expires_at:.0f}>"


def seed_of(config: IntegrationConfig, secrets: Secrets) -> str:
	"""Return the fingerprint of the settings that a token is made from."""
	parts = [
		config.auth_type,
		config.token_url,
		config.client_id,
		config.scope,
		secrets.get("client_secret"),
		secrets.get("refresh_token") if "Refresh" in config.auth_type else "",
	]
	return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class OAuth2Connector(BaseConnector):
	"""A connector whose requests carry an OAuth2 access token.

	One process refreshes an expired token, under a lock shared through the coordination; the others read
	what it stored. A rotated refresh token is stored before the new access token is used.
	"""

	_token: Token | None = None  # in memory, so that not each request reads the database

	def authenticate(self) -> AuthBase:
		"""Return the bearer token for the next request, fetching one if none in store is fresh."""
		if not (self._token and self._token.fresh(self._token.seed)):
			stored = self._stored()
			self._token = stored if stored and stored.fresh(self._seed()) else self._renew(rejected=None)
		return self._bearer(self._token)

	def renew_authentication(self, rejected: AuthBase | None) -> bool:
		"""Put another token in place of the rejected one; return True. Raises ConnectorError."""
		value = getattr(rejected, "_value", "")
		self._token = self._renew(rejected=value.removeprefix("Bearer "))
		return True

	def token_expires_at(self) -> float | None:
		"""Return when the stored token ends, None if there is none for these credentials."""
		stored = self._stored()
		return stored.expires_at if stored and stored.seed == self._seed() else None

	def reset(self) -> None:
		"""Forget a refused token too, so that one is asked for again."""
		super().reset()
		self.coordination.forget(self._refused(self._seed()))

	def _refused(self, seed: str) -> str:
		return f"token-refused:{self.config.name}:{seed}"

	def _bearer(self, token: Token) -> HeaderAuth:
		self.redactor.add(token.access_token)
		value = printable(token.access_token, self.config.name, "access token")
		return HeaderAuth("Authorization", value, "Bearer ")

	def _stored(self) -> Token | None:
		return Token.loads(self.secrets.get("oauth_token"))

	def _seed(self) -> str:
		return seed_of(self.config, self.secrets)

	def _renew(self, rejected: str | None) -> Token:
		"""Fetch a new token, unless another process did so meanwhile. `rejected` is one that got a 401."""
		try:
			wait = self.patience if self.hurried else LOCK_SECONDS
			with self.coordination.lock(f"token:{self.config.name}", LOCK_SECONDS, wait):
				return self._renew_locked(rejected)
		except TimeoutError as error:
			raise errors.RetryLater(LOCK_SECONDS, str(error)) from None

	def _renew_locked(self, rejected: str | None) -> Token:
		seed, token = self._seed(), Token.loads(self.secrets.get_committed("oauth_token"))
		if token and token.fresh(seed) and token.access_token != rejected:
			return token
		known = self.coordination.noted(self._refused(seed))
		if known and known[1] <= _REFUSAL_SECONDS + 1:
			raise errors.AuthenticationFailed(
				known[0], method="POST", url=self.redactor.text(self.config.token_url, 300)
			)
		try:
			token = self._fetch(token if token and token.seed == seed else None, seed)
		except errors.AuthenticationFailed as error:
			self.coordination.claim(self._refused(seed), error.detail, _REFUSAL_SECONDS)
			raise
		self.secrets.set("oauth_token", token.dumps())
		return token

	def _fetch(self, previous: Token | None, seed: str) -> Token:
		refreshing = self.config.auth_type == "OAuth2 Refresh Token"
		if refreshing:
			refresh_token = (previous and previous.refresh_token) or self.secrets.get("refresh_token")
			if not refresh_token:
				raise errors.ConfigurationError(
					f"{self.config.name}: refresh_token is empty.", field="refresh_token"
				)
			self.redactor.add(refresh_token)
			client = WebApplicationClient(self.config.client_id)
			scope = self.config.scope or None
			body = Secret(client.prepare_refresh_body(refresh_token=refresh_token, scope=scope))
		else:
			refresh_token = ""
			client = BackendApplicationClient(self.config.client_id)
			body = client.prepare_request_body(scope=self.config.scope or None)
		answer = self._post_token_request(client, body)
		return Token(
			access_token=Secret(answer["access_token"]),
			expires_at=time.time() + answer["expires_in"],
			refresh_token=Secret(answer.get("refresh_token") or refresh_token),
			seed=seed,
			made_at=time.time(),
		)

	def _post_token_request(
		self, client: WebApplicationClient | BackendApplicationClient, body: str
	) -> Mapping:
		"""POST to the token endpoint; the client authenticates by Basic, form-encoded (RFC 6749, 2.3.1)."""
		secret = self.secrets.get("client_secret") or ""
		auth = HTTPBasicAuth(quote_plus(self.config.client_id), quote_plus(secret))
		headers = {"Content-Type": "application/x-www-form-urlencoded"}

		def send() -> Any:
			response = self._transport(
				"POST", self.config.token_url, auth, deadline=_TOKEN_SECONDS, data=body, headers=headers
			)
			kind = refusal_class(response)
			if response.status_code in _BUSY or kind is errors.RateLimited:
				raise self._busy(kind, response)
			return response

		# A token request is repeated where it surely had no effect: a rotated refresh token works once. All of it fits
		# into the lock that the others wait for.
		policy = replace(
			self.retry,
			minimum=min(self.retry.minimum, 1),
			maximum=min(self.retry.maximum, 5),
			max_wait=min(self.retry.max_wait, 10),
			within=_REPEATED_SECONDS,
		)
		try:
			response = policy.run(send, idempotent=self.config.auth_type == "OAuth2 Client Credentials")
		except errors.ConnectorError as error:
			error.retry = "never"  # it has been repeated
			raise
		return self._token_of(client, response)

	def _busy(self, kind: type[errors.ConnectorError], response: requests.Response) -> errors.ConnectorError:
		"""Return the error of a token endpoint that cannot answer just now, which says nothing of the credentials."""
		error = self.answers.make(kind, response, _NOT_NOW)
		if response.status_code == 503:
			error.retry = "always"  # it did not act on the request
		return error

	def _token_of(
		self, client: WebApplicationClient | BackendApplicationClient, response: requests.Response
	) -> Mapping:
		"""Return what a token endpoint granted; raises AuthenticationFailed with its words where it refused."""
		if response.status_code >= 300 and response.status_code not in (400, 401, 403):
			raise self.answers.make(
				errors.error_class(response.status_code), response, "The token endpoint sent no token."
			)
		text = Secret(shown_text(response))
		try:
			answer = client.parse_request_body_response(text, scope=None)
			answer = {
				key: Secret(value) if isinstance(value, str) else value for key, value in answer.items()
			}
			return {**answer, "expires_in": _lifetime(answer.get("expires_in"))}
		except (ValueError, TypeError, AttributeError, RecursionError, OAuth2Error) as error:
			raise self._no_token(response, error) from None

	def _no_token(self, response: requests.Response, error: Exception) -> errors.ConnectorError:
		"""Return the error of an answer without a token, with its own words in whatever shape they come."""
		if page := page_of(response):
			kind = errors.AuthenticationFailed if response.status_code >= 300 else errors.MalformedAnswer
			return self.answers.make(
				kind, response, "The response of the token endpoint is not a token:", f"{page}."
			)
		try:
			words = complaint(loaded(response))
		except NotJSON:
			words = ""
		refused = bool(words) or response.status_code >= 300 or isinstance(error, OAuth2Error)
		kind = errors.AuthenticationFailed if refused else errors.MalformedAnswer
		if words:
			return self.answers.make(kind, response, "The token endpoint answered:", words)
		named = self.redactor.text(error, 200) if isinstance(error, OAuth2Error) else type(error).__name__
		return self.answers.make(
			kind, response, f"The response of the token endpoint is not a token ({named})."
		)


def _lifetime(expires_in: Any) -> float:
	"""Return the seconds a token is good for; raises ValueError where the answer says nonsense."""
	seconds = float(_DEFAULT_LIFETIME if expires_in is None else expires_in)
	if not math.isfinite(seconds):
		raise ValueError("expires_in")
	return seconds
