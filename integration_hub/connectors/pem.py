"""Keys and certificates in PEM (RFC 7468), as people paste them: a password field has no line breaks."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from integration_hub.connectors.secrets import Secret

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END \1-----", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


class NotPEM(ValueError):
	"""A text holds no PEM of the kind that is wanted; the message shows nothing of it."""


def normalized(text: str) -> str:
	"""Return PEM with the line breaks that belong there; raises NotPEM for a text without any, or with damaged ones."""
	blocks = [_block(match[1], match[2]) for match in _BLOCK.finditer(text.replace("\\n", "\n"))]
	if not blocks:
		raise NotPEM("it is not PEM: -----BEGIN … and -----END … are missing")
	return Secret("".join(blocks))


def private_key(text: str, passphrase: str | None = None) -> object:
	"""Return a private key in PEM as `cryptography` has it; raises NotPEM."""
	try:
		return load_pem_private_key(normalized(text).encode(), passphrase.encode() if passphrase else None)
	except (TypeError, ValueError, UnsupportedAlgorithm) as error:
		if isinstance(error, NotPEM):
			raise
		raise NotPEM(_key_problem(error, bool(passphrase))) from None


def certificates(text: str) -> list[x509.Certificate]:
	"""Return the certificates of a text in PEM; raises NotPEM where there is none, or one cannot be read."""
	try:
		return x509.load_pem_x509_certificates(normalized(text).encode())
	except NotPEM:
		raise
	except (ValueError, UnsupportedAlgorithm):
		raise NotPEM("it holds something else than certificates in PEM") from None


def _key_problem(error: Exception, has_passphrase: bool) -> str:
	if isinstance(error, TypeError):
		return "its passphrase is not needed" if has_passphrase else "it needs a passphrase"
	return "it is not a private key in PEM, or its passphrase is wrong"


def _block(label: str, body: str) -> str:
	lines = list(_lines(body))
	return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _lines(body: str) -> Iterator[str]:
	if ":" in body:  # headers of the traditional encryption (RFC 1421), whose lines nothing else separates
		yield from body.strip().splitlines()
		return
	bare = "".join(body.split())
	if not _BASE64.fullmatch(bare):
		raise NotPEM("it is not PEM: characters that do not belong there stand in it")
	yield from textwrap.wrap(bare, 64)
