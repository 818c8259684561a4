"""The secrets of one integration, and the redactor that knows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from integration_hub.connectors.redact import Redactor

# The Password fields of Integration Settings.
SECRET_FIELDS = (
	"secret",
	"client_secret",
	"refresh_token",
	"oauth_token",
	"webhook_secret",
	"webhook_secret_old",
	"webhook_verify_token",
	"queue_url",
	"proxy_secret",
	"signing_secret",
	"secret_2",
	"secret_3",
	"private_key",
	"client_key",
	"client_key_passphrase",
)


class Secret(str):
	"""A string whose `repr` does not show it: debuggers and tracebacks print the locals they find."""

	__slots__ = ()

	def __repr__(self) -> str:
		return "'[secret]'"


def kept_secret(value: str | None) -> Secret | None:
	"""Return a value as a Secret; None and "" stay what they are."""
	return Secret(value) if value else None


class Secrets(Protocol):
	"""The secrets of one integration, by the fieldnames of Integration Settings."""

	def get(self, field: str) -> str | None:
		"""Return the secret, None where it is not set."""

	def authorization(self) -> str:
		"""Return the Authorization header of the integration's Connected App, refreshed if need be.

		Raises ConfigurationError where there is none, or nobody has consented yet.
		"""

	def get_committed(self, field: str) -> str | None:
		"""Return the same as `get`, but as it is committed now, outside the snapshot that the caller reads."""

	def set(self, field: str, value: str) -> None:
		"""Store a secret encrypted and committed, without touching the settings document."""


def redactor_for(secrets: Secrets) -> Redactor:
	"""Return a redactor that masks every secret of the integration, wherever it stands.

	Raises whatever keeps a secret from being read.
	"""
	return Redactor(value for field in SECRET_FIELDS for value in _values(secrets, field))


def redactor_of_readable(secrets: Secrets | None) -> Redactor:
	"""Return a redactor that masks every secret that can be read: to say why another one cannot."""
	found: list[str | None] = []
	for field in SECRET_FIELDS if secrets else ():
		with suppress(Exception):
			found += _values(secrets, field)
	return Redactor(found)


def _values(secrets: Secrets, field: str) -> Iterator[str | None]:
	value = secrets.get(field)
	yield value
	if field == "oauth_token" and value:
		token = json.loads(value)
		yield token.get("access_token")
		yield token.get("refresh_token")
