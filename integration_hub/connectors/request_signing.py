"""Requests signed with a shared secret, for systems that verify each request.

The signature is the hex HMAC-SHA256, under the secret, of four lines: method, path with query, timestamp
(seconds since the epoch), and the hex SHA-256 of the body; it goes into a header of its own beside
`X-Timestamp`. A system that signs otherwise needs a connector with its own `authenticate`.
"""

from __future__ import annotations

import hashlib
import hmac
import time

from requests import PreparedRequest
from requests.auth import AuthBase


class HMACAuth(AuthBase):
	"""Signs each request by itself: a repeat has a timestamp of its own."""

	def __init__(self, header: str, secret: str, timestamp_header: str = "X-Timestamp") -> None:
		self.header, self.timestamp_header = header, timestamp_header
		self._secret = secret.encode()

	def __call__(self, request: PreparedRequest) -> PreparedRequest:
		timestamp = str(int(time.time()))
		body = request.body or b""
		body = body.encode() if isinstance(body, str) else body
		request.headers[self.timestamp_header] = timestamp
		request.headers[self.header] = sign(
			self._secret, request.method or "", request.path_url, timestamp, body
		)
		return request

	def __repr__(self) -> str:
		return f"<HMACAuth {self.header}>"


def sign(secret: bytes, method: str, path: str, timestamp: str, body: bytes) -> str:
	"""Return the signature of a request: see the module's text."""
	lines = [method.upper(), path, timestamp, hashlib.sha256(body).hexdigest()]
	return hmac.new(secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
