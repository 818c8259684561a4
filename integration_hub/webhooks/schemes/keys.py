"""Keys and what they verify: HMACs with a shared secret, signatures with a sender's public key."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from cryptography.x509 import Certificate, load_pem_x509_certificate

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.webhooks.schemes.base import BadSignature

DIGESTS = ("sha256", "sha512", "sha1")
ENCODINGS = ("hex", "base64")
SECRET_ENCODINGS = ("Text", "Hex", "Base64")
_LEAST_RSA_BITS = 2048


def encoded(signature: bytes, encoding: str) -> str:
	"""Return a signature as it is written."""
	return signature.hex() if encoding == "hex" else base64.b64encode(signature).decode()


def decoded(text: str, encoding: str) -> bytes:
	"""Return the bytes of a signature; raises BadSignature where it is not written so."""
	try:
		return bytes.fromhex(text) if encoding == "hex" else base64.b64decode(text, validate=True)
	except (ValueError, binascii.Error):
		raise BadSignature("signature_malformed") from None


def shared_key(secret: str, config: IntegrationConfig) -> bytes:
	"""Return the key that a webhook secret stands for; raises ConfigurationError."""
	try:
		key = _SECRETS[config.secret_encoding or "Text"](secret)
	except (ValueError, binascii.Error):
		key = b""
	if key:
		return key
	raise ConfigurationError(
		f"{config.name}: the secret is not {config.secret_encoding}.", field="webhook_secret"
	)


_SECRETS: Mapping[str, Callable[[str], bytes]] = {
	"Text": str.encode,
	"Hex": lambda text: bytes.fromhex(text.strip()),
	"Base64": lambda text: base64.b64decode(text.strip(), validate=True),
}


def mac(key: bytes, content: bytes, digest: str) -> bytes:
	"""Return the HMAC of a content (RFC 2104)."""
	return hmac.digest(key, content, digest)


def _verify_ed25519(key: Any, signature: bytes, content: bytes, _digest: hashes.HashAlgorithm | None) -> None:
	key.verify(signature, content)


def _verify_ecdsa(key: Any, signature: bytes, content: bytes, digest: hashes.HashAlgorithm) -> None:
	key.verify(signature, content, ec.ECDSA(digest))


def _verify_rsa(key: Any, signature: bytes, content: bytes, digest: hashes.HashAlgorithm) -> None:
	key.verify(signature, content, padding.PKCS1v15(), digest)


_KINDS: dict[type, Callable[..., None]] = {
	ed25519.Ed25519PublicKey: _verify_ed25519,
	ec.EllipticCurvePublicKey: _verify_ecdsa,
	rsa.RSAPublicKey: _verify_rsa,
}
_SHA1 = hashes.SHA1()
# The kinds of key that an algorithm takes, and its hash function. Where only the hash is named, the key says the rest.
_ALGORITHMS: dict[str, tuple[tuple[type, ...], hashes.HashAlgorithm | None]] = {
	"ed25519": ((ed25519.Ed25519PublicKey,), None),
	"ecdsa-sha256": ((ec.EllipticCurvePublicKey,), hashes.SHA256()),
	"rsa-sha256": ((rsa.RSAPublicKey,), hashes.SHA256()),
	"rsa-sha1": ((rsa.RSAPublicKey,), _SHA1),
	"sha256": (tuple(_KINDS), hashes.SHA256()),
	"sha512": (tuple(_KINDS), hashes.SHA512()),
	"sha1": (tuple(_KINDS), _SHA1),
}
PUBLIC_KEY_ALGORITHMS = tuple(_ALGORITHMS)


def verifies(key: Any, algorithm: str, signature: bytes, content: bytes) -> bool:
	"""Tell whether a public key made this signature of the content."""
	verify = next(verify for kind, verify in _KINDS.items() if isinstance(key, kind))
	try:
		verify(key, signature, content, _ALGORITHMS[algorithm][1])
	except InvalidSignature:
		return False
	return True


@lru_cache(200)
def public_key(text: str, algorithm: str) -> Any:
	"""Return the key that PEM, base64 of DER, or Ed25519's bare key in base64 or hex stands for; raises ValueError."""
	try:
		key = (
			load_pem_public_key(text.encode()) if "-----BEGIN" in text else _bare_key(text.strip(), algorithm)
		)
	except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
		raise ValueError("it cannot be read") from None
	return _checked(key, algorithm)


def _bare_key(text: str, algorithm: str) -> Any:
	if len(text) in (43, 44, 64):  # no DER of a key is as short
		raw = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text + "=" * (-len(text) % 4))
		return ed25519.Ed25519PublicKey.from_public_bytes(raw)
	return load_der_public_key(base64.b64decode("".join(text.split()), validate=True))


def _checked(key: Any, algorithm: str) -> Any:
	if not isinstance(key, _ALGORITHMS[algorithm][0]):
		raise ValueError("it is of another kind than the algorithm")
	if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, ec.SECP256R1):
		raise ValueError("it is not of the curve P-256")
	if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
		raise ValueError(f"it has less than {_LEAST_RSA_BITS} bits")
	return key


def certificate_in(pem: bytes) -> Certificate:
	"""Return the first certificate of a PEM text; raises ValueError."""
	return load_pem_x509_certificate(pem)


def key_of(certificate: Certificate, algorithm: str) -> Any:
	"""Return the public key of a certificate, where the algorithm takes it; raises ValueError."""
	return _checked(certificate.public_key(), algorithm)
