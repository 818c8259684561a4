"""Certificates of one integration: the authorities it trusts, and what it shows to a server that asks for one."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from secrets import token_urlsafe
from tempfile import mkstemp

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.credential_templates import ReadSecret
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.pem import NotPEM, certificates, normalized, private_key


@dataclass(frozen=True, repr=False)
class Certificates:
	"""Certificates and a key, ready for TLS.

	trusted: those of authorities in PEM, "" for the public ones. chain, key, passphrase: what is shown to servers.

	The key is encrypted with a passphrase of this process: it never stands on a disk as it is.
	"""

	trusted: str = ""
	chain: str = ""
	key: bytes = b""
	passphrase: str = ""

	def show(self, context: ssl.SSLContext) -> None:
		"""Have a context show the client certificate, if there is one. Raises OSError where it does not fit its key."""
		if not self.chain:
			return
		handle, path = mkstemp(suffix=".pem")  # of this user alone; OpenSSL takes files only
		try:
			with os.fdopen(handle, "wb") as file:
				file.write(self.chain.encode() + self.key)
			context.load_cert_chain(path, password=self.passphrase)
		finally:
			os.unlink(path)


def certificates_of(config: IntegrationConfig, secret: ReadSecret) -> Certificates:
	"""Return the certificates of an integration. Raises ConfigurationError, which names the field."""
	trusted = _checked(config, "ca_bundle") if config.verify_tls else ""
	if not config.client_certificate.strip():
		return Certificates(trusted)
	chain, passphrase = _checked(config, "client_certificate"), token_urlsafe(32)
	key = _client_key(config, secret)
	encrypted = key.private_bytes(
		Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode())
	)
	found = Certificates(trusted, chain, encrypted, passphrase)
	try:
		found.show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
	except (ssl.SSLError, ValueError):
		raise _wrong(config, "client_key", "it does not belong to the client certificate") from None
	return found


def _checked(config: IntegrationConfig, field: str) -> str:
	text = getattr(config, field).strip()
	try:
		return normalized(text) if text and certificates(text) else ""
	except NotPEM as error:
		raise _wrong(config, field, str(error)) from None


def _client_key(config: IntegrationConfig, secret: ReadSecret) -> object:
	text = secret("client_key")
	if not text:
		raise ConfigurationError(f"{config.name}: client_key is empty.", field="client_key")
	try:
		return private_key(text, secret("client_key_passphrase"))
	except NotPEM as error:
		raise _wrong(config, "client_key", str(error)) from None


def _wrong(config: IntegrationConfig, field: str, problem: str) -> ConfigurationError:
	return ConfigurationError(f"{config.name}: {field}: {problem}.", field=field)
