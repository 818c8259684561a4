"""Tokens that are asked for, stored and renewed: OAuth2 for machines (RFC 6749, 4.3, 4.4 and 6; RFC 7523), session logins.

The requests are in `token_requests`, the answers in `token_answers`.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, fields, replace

import requests
from requests.auth import AuthBase

from integration_hub.connectors import errors
from integration_hub.connectors.answer_errors import refusal_class
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.secrets import Secret, Secrets
from integration_hub.connectors.token_answers import TokenAnswers
from integration_hub.connectors.token_placement import token_auth
from integration_hub.connectors.token_requests import TokenRequest, login_url, token_request

LEEWAY = 60  # a token this close to its end, in seconds, is refreshed before use
LOCK_SECONDS = 60
_TOKEN_SECONDS = 15.0  # an attempt
_REPEATED_SECONDS = 33.0  # a pause of ten and one attempt more still fit into the lock
_BUSY = frozenset({408, 429, 500, 502, 503, 504, *range(520, 526), 529, 530})
_NOT_NOW = "The token endpoint cannot answer now."
_REFUSAL_SECONDS = 30.0  # a refused refresh is not asked again for this long, by any process
# Settings that a token is made from, besides the first ones: what is not set says nothing, so that tokens stay in use.
_MADE_FROM = (
	"username",
	"client_authentication",
	"token_params",
	"token_path",
	"login_method",
	"login_headers",
	"login_body_format",
	"login_body",
	"jwt_algorithm",
	"jwt_key_encoding",
	"jwt_claims",
	"jwt_headers",
)
_MADE_FROM_SECRETS = ("secret", "secret_2", "secret_3", "private_key")
_USUAL = {field.name: field.default for field in fields(IntegrationConfig)}


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
	"""Return the fingerprint of the settings that a token is made from.

	In front of a dot stands that of the grant: a rotated refresh token outlives a change of how tokens are asked for.
	"""
	parts = [
		config.auth_type,
		config.token_url,
		config.client_id,
		config.scope,
		secrets.get("client_secret"),
		secrets.get("refresh_token") if "Refresh" in config.auth_type else "",
	]
	more = [[name, getattr(config, name)] for name in _MADE_FROM if getattr(config, name) != _USUAL[name]]
	more += [[name, value] for name in _MADE_FROM_SECRETS if (value := secrets.get(name))]
	return ".".join(_hash(each) for each in (parts, more) if each)


def _hash(parts: list) -> str:
	return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _grant(seed: str) -> str:
	return seed.partition(".")[0]


class OAuth2Connector(BaseConnector):
	"""A connector whose requests carry a token: an access token of OAuth2, or that of a login.

	One process refreshes an expired token, under a lock shared through the coordination; the others read
	what it stored. A rotated refresh token is stored before the new access token is used.
	"""

	_token: Token | None = None  # in memory, so that not each request reads the database

	def authenticate(self) -> AuthBase:
		"""Return what carries the token of the next request, fetching one if none in store is fresh."""
		if not (self._token and self._token.fresh(self._token.seed)):
			stored = self._stored()
			self._token = stored if stored and stored.fresh(self._seed()) else self._renew(rejected=None)
		return self._carrying(self._token)

	def renew_authentication(self, rejected: AuthBase | None) -> bool:
		"""Put another token in place of the rejected one; return True. Raises ConnectorError."""
		self._token = self._renew(rejected=getattr(rejected, "token", ""))
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

	def _carrying(self, token: Token) -> AuthBase:
		self.redactor.add(token.access_token)
		return token_auth(self.config, token.access_token)

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
				known[0], method="POST", url=self.redactor.text(login_url(self.config), 300)
			)
		try:
			token = self._fetch(token if token and _grant(token.seed) == _grant(seed) else None, seed)
		except errors.AuthenticationFailed as error:
			self.coordination.claim(self._refused(seed), error.detail, _REFUSAL_SECONDS)
			raise
		self.secrets.set("oauth_token", token.dumps())
		return token

	def _fetch(self, previous: Token | None, seed: str) -> Token:
		refresh_token = ""
		if self.config.auth_type == "OAuth2 Refresh Token":
			refresh_token = (previous and previous.refresh_token) or self.secrets.get("refresh_token") or ""
			self.redactor.add(refresh_token)
		request = token_request(self.config, self.secrets.get, refresh_token)
		for assertion in request.assertions:
			self.redactor.add(assertion)
		granted = TokenAnswers(self.config, self.answers).read(self._asked(request))
		self.redactor.add(granted.refresh_token)
		return Token(
			access_token=granted.token,
			expires_at=time.time() + granted.seconds,
			refresh_token=Secret(granted.refresh_token or refresh_token),
			seed=seed,
			made_at=time.time(),
		)

	def _asked(self, request: TokenRequest) -> requests.Response:
		"""Send the request for a token; return the answer, unless the endpoint cannot answer just now.

		It is repeated where it surely had no effect. All of it fits into the lock that the others wait for.
		"""

		def send() -> requests.Response:
			response = self._transport(
				request.method,
				request.url,
				request.auth,
				deadline=_TOKEN_SECONDS,
				data=request.body.encode(),
				headers=request.headers,
			)
			kind = refusal_class(response)
			if response.status_code in _BUSY or kind is errors.RateLimited:
				raise self._busy(kind, response)
			return response

		policy = replace(
			self.retry,
			minimum=min(self.retry.minimum, 1),
			maximum=min(self.retry.maximum, 5),
			max_wait=min(self.retry.max_wait, 10),
			within=_REPEATED_SECONDS,
		)
		try:
			return policy.run(send, idempotent=request.repeatable)
		except errors.ConnectorError as error:
			error.retry = "never"  # it has been repeated
			raise

	def _busy(self, kind: type[errors.ConnectorError], response: requests.Response) -> errors.ConnectorError:
		"""Return the error of a token endpoint that cannot answer just now, which says nothing of the credentials."""
		error = self.answers.make(kind, response, _NOT_NOW)
		if response.status_code == 503:
			error.retry = "always"  # it did not act on the request
		return error
