"""Texts of the settings in which secrets stand by name: headers, parameters, bodies and claims with placeholders.

`X-Application-Key: {secret_2}` says where a Password field is sent, and all may read it; the value stays in its field.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.placeholders import (
	Placeholder,
	Template,
	TemplateError,
	filled_tree,
	placeholders_in,
)
from integration_hub.connectors.secrets import Secret

ReadSecret = Callable[[str], str | None]

# The Password fields that a placeholder may name.
SECRETS = ("secret", "secret_2", "secret_3", "client_secret", "refresh_token")
NAMES = (*SECRETS, "basic", "username", "client_id", "token_url", "token_host", "now", "uuid")
_OF_SECRETS = {**{name: (name,) for name in SECRETS}, "basic": ("secret",)}


class CredentialValues(Mapping[str, Any]):
	"""Values of the placeholders of credentials; a secret is read when it is needed."""

	def __init__(self, config: IntegrationConfig, secret: ReadSecret) -> None:
		self._config, self._secret = config, secret

	def __getitem__(self, name: str) -> Any:
		if name in SECRETS:
			return self._secret(name)
		return _VALUES[name](self)

	def __iter__(self) -> Iterator[str]:
		return iter(NAMES)

	def __len__(self) -> int:
		return len(NAMES)

	def basic(self) -> str:
		"""Return username and secret as Basic sends them (RFC 7617)."""
		return b64encode(f"{self._config.username}:{self._secret('secret') or ''}".encode()).decode()

	def setting(self, name: str) -> str:
		"""Return a setting that is no secret."""
		return getattr(self._config, name)


_VALUES: Mapping[str, Callable[[CredentialValues], Any]] = {
	"basic": CredentialValues.basic,
	"username": lambda values: values.setting("username"),
	"client_id": lambda values: values.setting("client_id"),
	"token_url": lambda values: values.setting("token_url"),
	"token_host": lambda values: urlsplit(values.setting("token_url")).hostname,
	"now": lambda values: datetime.now(timezone.utc),
	"uuid": lambda values: str(uuid4()),
}


def secrets_of(places: Iterable[Placeholder]) -> set[str]:
	"""Return the Password fields that placeholders need."""
	return {field for place in places for field in _OF_SECRETS.get(place.root, ())}


def filled_text(template: Template, values: CredentialValues, config: IntegrationConfig) -> Secret:
	"""Return a template's text. Raises ConfigurationError, which names the field that is empty."""
	try:
		text = template.text(values)
	except TemplateError as error:
		raise ConfigurationError(f"{config.name}: {error}") from None
	if text is None:
		raise _missing(template.placeholders, values, config)
	return Secret(text)


def filled_body(tree: Any, values: CredentialValues, config: IntegrationConfig) -> Any:
	"""Return what `read_tree` made with its values; raises ConfigurationError where one of them is missing."""
	places = list(placeholders_in(tree))
	if any(place.default is None and not values.get(place.root) for place in places):
		raise _missing(places, values, config)
	try:
		return filled_tree(tree, values)
	except TemplateError as error:
		raise ConfigurationError(f"{config.name}: {error}") from None


def _missing(
	places: Iterable[Placeholder], values: CredentialValues, config: IntegrationConfig
) -> ConfigurationError:
	empty = next(place.root for place in places if place.default is None and not values.get(place.root))
	field = "secret" if empty == "basic" else empty
	return ConfigurationError(f"{config.name}: {field} is empty.", field=field)


def pair_lines(text: str) -> list[tuple[str, str]]:
	"""Return the pairs of a text with one `name=value` a line."""
	lines = (line.strip().partition("=") for line in text.splitlines() if line.strip())
	return [(name.strip(), value.strip()) for name, _equals, value in lines]
