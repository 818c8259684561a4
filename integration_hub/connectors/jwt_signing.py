"""Tokens that the hub signs by itself: JSON Web Tokens (RFC 7519), with PyJWT."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import jwt

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.credential_templates import CredentialValues, ReadSecret, filled_body
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.pem import NotPEM, private_key
from integration_hub.connectors.placeholders import read_tree
from integration_hub.connectors.secrets import Secret

_LIFETIME = 300  # seconds, unless the settings say it

Claims = Mapping[str, Any]


def signed_token(config: IntegrationConfig, secret: ReadSecret, usual: Claims | None = None) -> Secret:
	"""Return a signed JWT with the claims of the settings, `iat` and `exp`.

	usual: claims where the settings have none. Raises ConfigurationError, which names the field.
	"""
	values = CredentialValues(config, secret)
	claims = filled_body(read_tree(json_object(config, "jwt_claims")), values, config)
	made = {**(usual or {}), **times(config), **claims}  # null takes one of these away
	headers = filled_body(read_tree(json_object(config, "jwt_headers")), values, config)
	try:
		return Secret(
			jwt.encode(
				{name: value for name, value in made.items() if value is not None},
				signing_key(config, secret),
				algorithm=config.jwt_algorithm,
				headers=headers or None,
			)
		)
	except (jwt.PyJWTError, TypeError, ValueError) as error:
		field = "secret" if is_shared(config) else "private_key"
		raise ConfigurationError(
			f"{config.name}: {field} cannot sign with {config.jwt_algorithm} ({type(error).__name__}).",
			field=field,
		) from None


def lifetime_of(config: IntegrationConfig) -> int:
	"""Return the seconds that a signed token is valid for."""
	return config.token_lifetime or _LIFETIME


def times(config: IntegrationConfig) -> dict[str, int]:
	"""Return the claims that say from when until when a token is valid."""
	now = int(time.time())
	return {"iat": now, "exp": now + lifetime_of(config)}


def is_shared(config: IntegrationConfig) -> bool:
	"""Tell whether both sides know the key: then it is the secret, and no private key."""
	return config.jwt_algorithm.startswith("HS")


def json_object(config: IntegrationConfig, field: str) -> dict[str, Any]:
	"""Return a setting that is a JSON object, {} for none; raises ConfigurationError."""
	text = getattr(config, field).strip()
	try:
		found = json.loads(text) if text else {}
	except (ValueError, RecursionError):
		found = None
	if not isinstance(found, dict):
		raise ConfigurationError(f"{config.name}: {field} is not a JSON object.", field=field)
	return found


def signing_key(config: IntegrationConfig, secret: ReadSecret) -> Any:
	"""Return the key that the settings sign with; raises ConfigurationError where there is none that fits."""
	field = "secret" if is_shared(config) else "private_key"
	text = (secret(field) or "").strip()
	if not text:
		raise ConfigurationError(f"{config.name}: {field} is empty.", field=field)
	try:
		return key_bytes(text, config.jwt_key_encoding) if is_shared(config) else private_key(text)
	except ValueError as error:
		problem = str(error) if isinstance(error, NotPEM) else f"it is not {config.jwt_key_encoding}"
		raise ConfigurationError(f"{config.name}: {field}: {problem}.", field=field) from None


def key_bytes(text: str, encoding: str) -> bytes:
	"""Return a shared key as bytes; raises ValueError where it is not written as its encoding says."""
	if encoding == "Hex":
		return bytes.fromhex(text)
	if encoding == "Base64":
		plain = text.replace("-", "+").replace("_", "/").rstrip("=")
		return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
	return text.encode()
