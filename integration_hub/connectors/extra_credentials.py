"""Headers and parameters that all requests of an integration carry beside their credential."""

from __future__ import annotations

from collections.abc import Sequence

from requests import PreparedRequest
from requests.auth import AuthBase

from integration_hub.connectors.auth import printable
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.credential_templates import (
	CredentialValues,
	ReadSecret,
	filled_text,
	pair_lines,
	secrets_of,
)
from integration_hub.connectors.placeholders import Template
from integration_hub.connectors.request_template import header_lines
from integration_hub.connectors.urls import with_parameter

Pairs = Sequence[tuple[str, str]]


class ExtraAuth(AuthBase):
	"""Adds headers and query parameters that hold secrets, after another auth object."""

	def __init__(self, main: AuthBase | None, headers: Pairs, params: Pairs) -> None:
		self.main, self._headers, self._params = main, headers, params

	def __call__(self, request: PreparedRequest) -> PreparedRequest:
		for name, value in self._params:
			request.url = with_parameter(request.url or "", name, value)
		for name, value in self._headers:
			request.headers[name] = value
		return self.main(request) if self.main else request  # what it signs has all of it

	def __repr__(self) -> str:
		return f"<ExtraAuth {', '.join(name for name, _value in (*self._headers, *self._params))}>"


def with_extras(main: AuthBase | None, config: IntegrationConfig, secret: ReadSecret) -> AuthBase | None:
	"""Return an auth object that sends the extra headers and parameters too.

	Raises ConfigurationError where a secret is not set, or holds what no header can carry.
	"""
	headers = [(name, text) for name, text in header_lines(config.extra_headers) if _secrets_in(text)]
	params = pair_lines(config.extra_params)
	if not headers and not params:
		return main
	values = CredentialValues(config, secret)
	filled = [
		[(name, filled_text(Template.read(text), values, config)) for name, text in pairs]
		for pairs in (headers, params)
	]
	sent = [(name, printable(value, config.name, f"extra_headers {name}")) for name, value in filled[0]]
	return ExtraAuth(main, sent, filled[1])


def plain_headers(config: IntegrationConfig) -> dict[str, str]:
	"""Return the extra headers without secrets, which a request may override."""
	plain = [(name, text) for name, text in header_lines(config.extra_headers) if not _secrets_in(text)]
	values = CredentialValues(config, lambda field: None)
	return {name: filled_text(Template.read(text), values, config) for name, text in plain}


def secret_params(config: IntegrationConfig) -> tuple[str, ...]:
	"""Return the query parameters that hold credentials: no link is kept with them."""
	found = [name for name, _text in pair_lines(config.extra_params)]
	if config.auth_type == "API Key Query":
		found.append(config.api_key_name)
	if config.sent_in == "Query" and (config.fetches_tokens or config.auth_type == "JWT"):
		found.append(config.token_name)
	return tuple(found)


def _secrets_in(text: str) -> bool:
	return bool(secrets_of(Template.read(text).placeholders))
