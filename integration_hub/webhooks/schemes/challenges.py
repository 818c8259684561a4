"""Challenges that are signed for anybody who asks: texts that nothing which proves an event can be made of."""

from __future__ import annotations

import re

from integration_hub.webhooks.schemes.base import BadSignature

# No object and no list of JSON is written with these alone, nor XML, nor a form of more than a name; no separator
# between a time or an id and a body is among them. Senders ask with UUIDs, base64 and hexadecimal digits.
_SIGNABLE = re.compile(r"[A-Za-z0-9+/_-]{1,128}={0,2}")
_SIGNABLE_BYTES = re.compile(_SIGNABLE.pattern.encode())


def require_signable(text: str) -> None:
	"""Raise BadSignature for a text that is not signed for a stranger."""
	if not _SIGNABLE.fullmatch(text):
		raise BadSignature("challenge_malformed")


def require_event(body: bytes) -> None:
	"""Raise BadSignature for a body whose signature a stranger may have got by asking: text alone, or nothing at all.

	A binary CloudEvent is any text, and an event may have no body where its headers say all.
	"""
	if not body or _SIGNABLE_BYTES.fullmatch(body):
		raise BadSignature("body_not_signed")
