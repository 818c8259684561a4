"""Requests for a token: the grants of OAuth2, and logins that give a session token. A value for each of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode

from requests.auth import AuthBase, HTTPBasicAuth

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.credential_templates import (
	CredentialValues,
	ReadSecret,
	filled_body,
	filled_text,
	pair_lines,
)
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.placeholders import Template, read_tree
from integration_hub.connectors.request_template import header_lines
from integration_hub.connectors.secrets import Secret
from integration_hub.connectors.urls import joined

CLIENT_AUTHENTICATIONS = ("Basic Header", "Request Body", "Signed JWT")
LOGIN_METHODS = ("POST", "GET")
LOGIN_FORMATS = ("JSON", "Form", "Text")
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523, 2.2
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523, 2.1
_FORM = "application/x-www-form-urlencoded"

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, repr=False)
class TokenRequest:
	"""One request for a token. repeatable: may it be sent twice?"""

	method: str
	url: str
	auth: AuthBase | None = None
	headers: Mapping[str, str] = field(default_factory=dict)
	body: str = ""
	repeatable: bool = True

	@property
	def assertions(self) -> list[str]:
		"""Return the signed tokens in the body."""
		return [value for name, value in parse_qsl(self.body) if name in ("assertion", "client_assertion")]


def token_request(config: IntegrationConfig, secret: ReadSecret, refresh_token: str) -> TokenRequest:
	"""Return the request for a token of the settings' kind. Raises ConfigurationError, which names the field."""
	if config.auth_type == "Session Token":
		return _login(config, secret)
	pairs = [*_GRANTS.get(config.auth_type, _client_credentials)(config, secret, refresh_token)]
	if config.scope:
		pairs.append(("scope", config.scope))
	auth, client = _client(config, secret)
	values = CredentialValues(config, secret)
	more = [
		(name, filled_text(Template.read(text), values, config))
		for name, text in pair_lines(config.token_params)
	]
	names = {name for name, _value in more}
	pairs = [pair for pair in (*pairs, *client) if pair[0] not in names]  # what a person writes is meant
	return TokenRequest(
		"POST",
		config.token_url,
		auth,
		{"Content-Type": _FORM},
		Secret(urlencode([*pairs, *more])),
		repeatable=config.auth_type != "OAuth2 Refresh Token",  # one that is rotated works once
	)


def _client_credentials(config: IntegrationConfig, secret: ReadSecret, refresh_token: str) -> Pairs:
	return [("grant_type", "client_credentials")]


def _refresh(config: IntegrationConfig, secret: ReadSecret, refresh_token: str) -> Pairs:
	if not refresh_token:
		raise ConfigurationError(f"{config.name}: refresh_token is empty.", field="refresh_token")
	return [("grant_type", "refresh_token"), ("refresh_token", refresh_token)]


def _password(config: IntegrationConfig, secret: ReadSecret, refresh_token: str) -> Pairs:
	"""Return the resource owner's password grant (RFC 6749, 4.3)."""
	password = _needed(config, secret, "secret")
	return [("grant_type", "password"), ("username", config.username), ("password", password)]


def _jwt_bearer(config: IntegrationConfig, secret: ReadSecret, refresh_token: str) -> Pairs:
	return [("grant_type", _JWT_BEARER), ("assertion", _assertion(config, secret))]


_GRANTS: Mapping[str, Callable[[IntegrationConfig, ReadSecret, str], Pairs]] = {
	"OAuth2 Client Credentials": _client_credentials,
	"OAuth2 Refresh Token": _refresh,
	"OAuth2 Password": _password,
	"OAuth2 JWT Bearer": _jwt_bearer,
}


def _client(config: IntegrationConfig, secret: ReadSecret) -> tuple[AuthBase | None, Pairs]:
	"""Return how the client proves itself (RFC 6749, 2.3.1): in the header, or with pairs of the body."""
	client_secret = secret("client_secret") or ""
	if config.client_authentication == "Signed JWT":
		return None, [
			*_named(config),
			("client_assertion_type", _ASSERTION),
			("client_assertion", _assertion(config, secret)),
		]
	if config.client_authentication == "Request Body":
		proof = [("client_secret", client_secret)] if client_secret else []
		return None, [*_named(config), *proof]
	if config.auth_type == "OAuth2 JWT Bearer" and not client_secret:
		return None, []  # the assertion is the proof (RFC 7523, 3)
	return HTTPBasicAuth(quote_plus(config.client_id), quote_plus(client_secret)), []


def _named(config: IntegrationConfig) -> Pairs:
	return [("client_id", config.client_id)] if config.client_id else []


def _assertion(config: IntegrationConfig, secret: ReadSecret) -> Secret:
	from integration_hub.connectors.jwt_signing import signed_token

	usual = {"iss": config.client_id, "sub": config.username or config.client_id, "aud": config.token_url}
	return signed_token(config, secret, usual)


def _needed(config: IntegrationConfig, secret: ReadSecret, field: str) -> str:
	value = secret(field)
	if not value:
		raise ConfigurationError(f"{config.name}: {field} is empty.", field=field)
	return value


def _login(config: IntegrationConfig, secret: ReadSecret) -> TokenRequest:
	values = CredentialValues(config, secret)
	headers = {
		name: filled_text(Template.read(text), values, config)
		for name, text in header_lines(config.login_headers)
	}
	body = "" if config.login_method == "GET" else Secret(_BODIES[config.login_body_format](config, values))
	kind = {"JSON": "application/json", "Form": _FORM}.get(config.login_body_format, "text/plain")
	usual = {"Content-Type": kind} if body else {}
	return TokenRequest(config.login_method, login_url(config), None, {**usual, **headers}, body)


def login_url(config: IntegrationConfig) -> str:
	"""Return the address of the login: below the base URL, unless it is a whole one."""
	if config.token_url.lower().startswith(("http://", "https://")):
		return config.token_url
	return joined(config.base_url, config.token_url)


def _json(config: IntegrationConfig, values: CredentialValues) -> str:
	tree = read_tree(json.loads(config.login_body)) if config.login_body.strip() else None
	return "" if tree is None else json.dumps(filled_body(tree, values, config))


def _form(config: IntegrationConfig, values: CredentialValues) -> str:
	return urlencode(list(_filled_pairs(config, values)))


def _filled_pairs(config: IntegrationConfig, values: CredentialValues) -> Iterator[tuple[str, Any]]:
	for name, text in pair_lines(config.login_body):
		yield name, filled_text(Template.read(text), values, config)


def _text(config: IntegrationConfig, values: CredentialValues) -> str:
	return filled_text(Template.read(config.login_body), values, config)


_BODIES: Mapping[str, Callable[[IntegrationConfig, CredentialValues], str]] = {
	"JSON": _json,
	"Form": _form,
	"Text": _text,
}
