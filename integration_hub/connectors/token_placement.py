"""Places of a token in a request: a header with a prefix, a query parameter, a cookie."""

from __future__ import annotations

from requests.auth import AuthBase

from integration_hub.connectors.auth import CookieAuth, HeaderAuth, QueryAuth, formatted, printable
from integration_hub.connectors.config import IntegrationConfig

PLACES = ("Header", "Query", "Cookie")
_HEADER = "Authorization"


def token_auth(config: IntegrationConfig, token: str) -> AuthBase:
	"""Return the auth object that sends a token as the settings say.

	`token` of it is the token itself. Raises ConfigurationError where the place cannot carry it.
	"""
	value = printable(token, config.name, "access token")
	name = config.token_name or _HEADER
	is_usual = config.sent_in == "Header" and name.lower() == _HEADER.lower()
	auth = placed(config.sent_in, name, formatted(config, value, "Bearer {token}" if is_usual else "{token}"))
	auth.token = value
	return auth


def placed(place: str, name: str, value: str) -> AuthBase:
	"""Return the auth object for a place."""
	if place == "Query":
		return QueryAuth(name, value)
	return CookieAuth(name, value) if place == "Cookie" else HeaderAuth(name, value)
