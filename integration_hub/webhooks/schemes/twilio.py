"""Twilio: https://www.twilio.com/docs/usage/security#validating-requests"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import SplitResult, parse_qs, parse_qsl, urlsplit

from integration_hub.webhooks.bodies import FORM, media_type
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.schemes.base import BadSignature, Scheme, require, sent, with_headers

_DIGESTS = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}
_PORTS = {"https": 443, "http": 80}


class TwilioScheme(Scheme):
	"""The base64 HMAC of the URL and the sorted parameters of the form; of a JSON body, the URL has the hash.

	The URL is the one entered at Twilio; behind a proxy that changes it, *Public URL* says what it was.
	"""

	def verify(self, request: Request, secrets: Sequence[str]) -> None:
		"""Return if the signature of URL and form, or of URL and body hash, is right; raises BadSignature."""
		given = sent(request, "X-Twilio-Signature")
		digest = _DIGESTS.get(_algorithm(request))
		if not digest:
			raise BadSignature("signature_malformed")
		url = urlsplit(request.url)
		if media_type(request.headers) == FORM:
			parameters = _parameters(request.body)
		else:
			_require_body_hash(url, request.body)
			parameters = ""
		if self.config.webhook_url:
			url = urlsplit(self.config.webhook_url)._replace(query=url.query)
		contents = [(text + parameters).encode() for text in _spellings(url)]
		keys = [secret.encode() for secret in secrets]
		require(
			[given],
			[base64.b64encode(hmac.new(k, c, digest).digest()).decode() for k in keys for c in contents],
		)

	def signed(self, request: Request, secret: str) -> Request:
		"""Return a JSON request signed by its URL, which has the body's hash."""
		query = f"bodySHA256={hashlib.sha256(request.body).hexdigest()}"
		called = urlsplit(request.url)._replace(query=query).geturl()
		entered = urlsplit(self.config.webhook_url or called)._replace(query=query).geturl()
		signature = base64.b64encode(hmac.new(secret.encode(), entered.encode(), hashlib.sha1).digest())
		return with_headers(replace(request, url=called), {"X-Twilio-Signature": signature.decode()})


def _algorithm(request: Request) -> str:
	"""Return the hash of the signature: SHA-256 where a SharedKey's header says so, else SHA-1, as of an Auth Token."""
	settings = request.headers.get("x-twilio-webhooks-signature-settings", "")
	named = dict(part.strip().partition("=")[::2] for part in settings.split(","))
	return named.get("algorithm", "HMAC_SHA1").upper()


def _parameters(body: bytes) -> str:
	"""Return names and values of a form, sorted, each value once, without anything between them."""
	try:
		pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
	except ValueError:
		raise BadSignature("signature_malformed") from None
	return "".join(name + value for name, value in sorted(set(pairs)))


def _require_body_hash(url: SplitResult, body: bytes) -> None:
	given = parse_qs(url.query).get("bodySHA256", [""])[0]
	if not given:
		raise BadSignature("body_not_signed")
	require([given.lower()], [hashlib.sha256(body).hexdigest()])


def _spellings(url: SplitResult) -> Iterator[str]:
	"""Return the URL with and without its port: Twilio is not consistent, so its libraries try both."""
	host = url.netloc.rpartition("@")[2]
	name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host
	yield url.geturl()
	yield url._replace(netloc=name).geturl()
	yield url._replace(netloc=f"{name}:{_PORTS.get(url.scheme, 443)}").geturl()
