"""Authentication of requests: one small class a kind, all of them `requests` auth objects."""

from __future__ import annotations

from collections.abc import Callable

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.placeholders import Template
from integration_hub.connectors.request_signing import HMACAuth
from integration_hub.connectors.secrets import Secret
from integration_hub.connectors.urls import with_parameter

ReadSecret = Callable[[str], str | None]


class HeaderAuth(AuthBase):
	"""Sends a secret in one header, after an optional prefix (`Bearer `)."""

	token = ""

	def __init__(self, header: str, secret: str, prefix: str = "") -> None:
		self.header, self._value = header, Secret(prefix + secret)

	def __call__(self, request: PreparedRequest) -> PreparedRequest:
		request.headers[self.header] = self._value
		return request

	def __repr__(self) -> str:
		return f"<HeaderAuth {self.header}>"


class QueryAuth(AuthBase):
	"""Sends a secret as a query parameter."""

	token = ""

	def __init__(self, parameter: str, secret: str) -> None:
		self.parameter, self._secret = parameter, secret

	def __call__(self, request: PreparedRequest) -> PreparedRequest:
		request.url = with_parameter(request.url or "", self.parameter, self._secret)
		return request

	def __repr__(self) -> str:
		return f"<QueryAuth {self.parameter}>"


class CookieAuth(AuthBase):
	"""Sends a secret as a cookie, beside those that the server has set."""

	token = ""

	def __init__(self, name: str, secret: str) -> None:
		self.name, self._secret = name, cookie_value(secret, name)

	def __call__(self, request: PreparedRequest) -> PreparedRequest:
		others = [
			pair.strip()
			for pair in request.headers.get("Cookie", "").split(";")
			if pair.strip() and pair.partition("=")[0].strip() != self.name
		]
		request.headers["Cookie"] = Secret("; ".join([*others, f"{self.name}={self._secret}"]))
		return request

	def __repr__(self) -> str:
		return f"<CookieAuth {self.name}>"


def aws_auth(config: IntegrationConfig, secret: str) -> AuthBase:
	"""Return the auth object that signs for AWS; what it takes is loaded only where it is needed."""
	from integration_hub.connectors.aws_signing import AWSAuth

	return AWSAuth(config, secret)


_SECRET_USERS = ("{secret_2}", "{secret_3}")
_API_KEYS: dict[str, Callable[[str, str], AuthBase]] = {
	"API Key Header": HeaderAuth,
	"API Key Query": QueryAuth,
	"API Key Cookie": CookieAuth,
}


def cookie_value(secret: str, name: str) -> Secret:
	"""Return a secret as it stands in a cookie; raises ConfigurationError for one that would end it (RFC 6265, 4.1.1)."""
	if set(secret) & set(' ",;\\'):
		raise ConfigurationError(f"The cookie {name} cannot carry this secret: it holds blanks or marks.")
	return Secret(secret)


def static_auth(config: IntegrationConfig, secret: ReadSecret) -> AuthBase | None:
	"""Return the auth object of a non-OAuth2 integration, None for no authentication.

	Raises ConfigurationError where the secret is not set.
	"""
	kind = config.auth_type
	if kind == "None":
		return None
	value = printable(secret("secret"), config.name, "secret")
	user = basic_user(config, secret) if kind == "Basic" else ""
	if kind == "Basic" and (value or user):
		# Either may be empty (RFC 7617): some take their key as the user, or as the password, alone.
		return HTTPBasicAuth(user.encode(), value.encode())
	if not value:
		raise ConfigurationError(f"{config.name}: secret is empty.", field="secret")
	if kind in _API_KEYS:
		return _API_KEYS[kind](config.api_key_name, formatted(config, value))
	if kind == "HMAC":
		return HMACAuth(config.api_key_name, value)
	if kind == "AWS Signature":
		return aws_auth(config, value)
	if kind == "Bearer":
		return HeaderAuth("Authorization", value, "Bearer ")
	raise ConfigurationError(f"{config.name}: unknown auth_type {kind!r}.", field="auth_type")


def basic_user(config: IntegrationConfig, secret: ReadSecret) -> str:
	"""Return the username for Basic: some systems take a key as the user, `{secret_2}`, beside a password."""
	return (
		(secret(config.username[1:-1]) or "").strip() if config.username in _SECRET_USERS else config.username
	)


def formatted(config: IntegrationConfig, token: str, usual: str = "{token}") -> Secret:
	"""Return a token or key as it is sent: in the format of the settings, else in the usual one."""
	return Secret(Template.read(config.token_format or usual).text({"token": token}) or "")


def printable(value: str | None, integration: str, field: str) -> str:
	"""Return a secret without the white space that pasting leaves around it.

	Raises ConfigurationError where it holds characters that no header can carry; the value is not shown.
	"""
	bare = Secret((value or "").strip())
	if not all(" " <= character <= "~" for character in bare):
		raise ConfigurationError(
			f"{integration}: {field} holds a line break or other characters a header cannot carry.",
			field=field,
		)
	return bare
