"""The base of all signature schemes: reading what was sent, comparing in constant time, telling the time."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.webhooks.messages import Request, Response
from integration_hub.webhooks.places import Places

OtherBody = Literal["Conflict", "Duplicate", "New"]
_MAX_SIGNATURE = 1024
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class BadSignature(Exception):
	"""The request is not proven to come from the integration. The text is a reason word."""


class CannotVerify(Exception):
	"""It cannot be told now whether a request is proven: the sender should repeat it. The text is a reason word."""


class CannotSign(Exception):
	"""A test event cannot be signed as this sender does; the text says why."""


class Everything:
	"""Holds any header or path: of a sender who sends the secret itself, one is as good as another."""

	def __contains__(self, name: object) -> bool:
		return True


class Scheme:
	"""One way in which senders prove who they are. A scheme verifies or raises.

	Other apps register theirs in `integration_hub_schemes`: name → dotted path of a class that takes the
	IntegrationConfig and has `verify`; what else is here it may leave out by deriving from this class.
	"""

	places = Places()
	authenticate = ""  # what a 401 says in WWW-Authenticate
	# The headers, in lower case, that are as proven as the body: those that the signature covers. What stands in
	# another one can be set by anybody who has recorded a delivery.
	signed_headers: Container[str] = ()
	# The paths of the body that the signature covers, as the settings write them.
	signed_paths: Container[str] = Everything()
	same_id: OtherBody = "Conflict"  # what the same id with another body is, unless the settings say so
	allowed_hosts: Sequence[
		str
	] = ()  # hosts of private networks that may be called; see connectors.ssrf_guard
	signs_challenges = False  # does a handshake sign a text of anybody's? see schemes.challenges
	forms = True  # a form is a body like JSON; not where nothing but JSON is ever signed

	def __init__(self, config: IntegrationConfig) -> None:
		self.config = config

	def verify(self, request: Request, secrets: Sequence[str]) -> None:
		"""Return if one of `secrets` signed the request; raises BadSignature.

		Raises ConfigurationError where a secret cannot be one of this scheme.
		"""
		raise NotImplementedError

	def signed(self, request: Request, secret: str) -> Request:
		"""Return a request as its sender would sign it with `secret`, to try the endpoint with; raises CannotSign."""
		raise CannotSign(f"The scheme {self.config.webhook_scheme} has no way to sign a test.")

	def misfit(self, event_type: str, payload: Any) -> str:
		"""Return why a body cannot be of a type that stands in a header, "" if it may be.

		Only what contradicts the type says so: what a sender adds or leaves out some day is no reason.
		"""
		return ""

	def concealed(self, body: bytes, payload: Any, secrets: Sequence[str]) -> tuple[bytes, Any]:
		"""Return a proven body without the secrets that its sender has put into it as a proof."""
		return body, payload

	def probe(self, request: Request) -> Response | None:
		"""Answer a POST that is not signed and no event, by which a sender tries the endpoint; None if it is none."""
		return None

	def handshake(self, request: Request, secrets: Sequence[str], verify_token: str) -> Response | None:
		"""Answer a GET by which a sender makes sure of the endpoint, None if this scheme knows none.

		Raises BadSignature.
		"""
		return None

	def challenge(self, payload: Any) -> Response | None:
		"""Answer a verified body that is a handshake and no event, None if it is an event."""
		return None


def with_headers(request: Request, headers: Mapping[str, str]) -> Request:
	"""Return a request with more headers."""
	added = {name.lower(): value for name, value in headers.items()}
	return replace(request, headers={**request.headers, **added})


def sent(request: Request, header: str) -> str:
	"""Return a signature's header; raises BadSignature if it is missing or cannot be one."""
	given = request.headers.get(header.lower(), "").strip()
	if not given:
		raise BadSignature("signature_missing")
	if len(given) > _MAX_SIGNATURE:
		raise BadSignature("signature_malformed")
	return given


def require(given: Iterable[str], expected: Iterable[str]) -> None:
	"""Raise BadSignature unless one of `given` is one of `expected`; all are compared, in constant time each."""
	wanted = [text.encode() for text in expected]
	# Bytes: compare_digest refuses non-ASCII text. A list: every pair is compared, whichever fits.
	fits = [hmac.compare_digest(text.encode("utf-8", "replace"), w) for text in given for w in wanted]
	if not any(fits):
		raise BadSignature("signature_wrong")


def require_fresh(timestamp: str, tolerance: int) -> None:
	"""Raise BadSignature unless a timestamp (seconds since 1970) is within `tolerance` of now, either way."""
	if not timestamp:
		raise BadSignature("timestamp_missing")
	if not _TIMESTAMP.fullmatch(timestamp):
		raise BadSignature("timestamp_malformed")
	age = time.time() - int(timestamp)
	if age > tolerance:
		raise BadSignature("timestamp_too_old")
	if age < -tolerance:
		raise BadSignature("timestamp_in_the_future")
