"""Secrets as each scheme takes them: keys, ARNs, user and password."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from integration_hub.webhooks.presets import presets


@cache
def a_public_key() -> str:
	"""Return the PEM of a public key whose private one nobody has kept."""
	key = ec.generate_private_key(ec.SECP256R1()).public_key()
	return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def secret_for(scheme: str) -> str:
	"""Return a secret that a scheme of ours can work with."""
	preset = presets()[scheme]
	if preset.settings.get("secret_encoding") == "Hex":
		return "c0ffee" * 8
	given = {
		"Basic": "whsec_c2VjcmV0:x",
		"Amazon SNS": "arn:aws:sns:eu-west-1:123456789012:orders",
		"Public Key": a_public_key(),
	}
	return given.get(preset.scheme, "whsec_c2VjcmV0")
