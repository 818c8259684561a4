"""Access to the sandbox: tokens, and how often it may be called."""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

CLIENT_ID = "sandbox"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - the sandbox guards nothing
REFRESH_TOKEN = "sandbox-refresh-token"  # noqa: S105
API_KEY = "sandbox-api-key"


class Tokens:
	"""An OAuth2 token endpoint: client credentials, and refresh tokens that work once."""

	def __init__(self, lifetime: float = 3600) -> None:
		self.lifetime = lifetime
		self._lock = threading.Lock()
		self._valid: dict[str, float] = {}
		self._refresh = {REFRESH_TOKEN}
		self.issued = 0
		self.refused = 0

	def answer(self, form: Mapping[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
		"""Return status and body for a token request (RFC 6749, 5.1 and 5.2)."""
		with self._lock:
			if not self._is_client(form, authorization):
				self.refused += 1
				return 401, {"error": "invalid_client"}
			grant = form.get("grant_type")
			if grant == "client_credentials":
				return 200, self._issue()
			if grant == "refresh_token":
				token = form.get("refresh_token", "")
				if token not in self._refresh:
					self.refused += 1
					return 400, {
						"error": "invalid_grant",
						"error_description": "Used or unknown refresh token",
					}
				self._refresh.discard(token)
				rotated = secrets.token_urlsafe(24)
				self._refresh.add(rotated)
				return 200, {**self._issue(), "refresh_token": rotated}
			return 400, {"error": "unsupported_grant_type"}

	def log_in(self, user: str, password: str) -> str:
		"""Return a token for a user and a password, "" for wrong ones."""
		with self._lock:
			if (user, password) != (CLIENT_ID, CLIENT_SECRET):
				self.refused += 1
				return ""
			return self._issue()["access_token"]

	def accepts(self, token: str) -> bool:
		"""Tell whether an access token was given out and has not expired."""
		with self._lock:
			return self._valid.get(token, 0) > time.monotonic()

	def revoke_all(self) -> None:
		"""Make every access token invalid before its time."""
		with self._lock:
			self._valid.clear()

	def _issue(self) -> dict[str, Any]:
		token = secrets.token_urlsafe(24)
		self._valid[token] = time.monotonic() + self.lifetime
		self.issued += 1
		return {"access_token": token, "token_type": "Bearer", "expires_in": int(self.lifetime)}

	@staticmethod
	def _is_client(form: Mapping[str, str], authorization: str) -> bool:
		given = basic(authorization) or (form.get("client_id", ""), form.get("client_secret", ""))
		return given == (CLIENT_ID, CLIENT_SECRET)


class Budget:
	"""At most `limit` requests in any `period` seconds; 0 for no limit."""

	def __init__(self, limit: int = 0, period: float = 10) -> None:
		self.limit, self.period = limit, period
		self._times: deque[float] = deque()
		self._lock = threading.Lock()
		self.refused = 0

	def take(self) -> tuple[float, int]:
		"""Use one request; return (seconds to wait if there was none left, requests remaining)."""
		with self._lock:
			now = time.monotonic()
			while self._times and self._times[0] <= now - self.period:
				self._times.popleft()
			if self.limit and len(self._times) >= self.limit:
				self.refused += 1
				return self._times[0] + self.period - now, 0
			if self.limit:
				self._times.append(now)
			return 0.0, max(self.limit - len(self._times), 0)


def basic(authorization: str) -> tuple[str, str] | None:
	"""Return user and password of a Basic header, None if it is none."""
	kind, _, value = authorization.partition(" ")
	if kind.lower() != "basic":
		return None
	try:
		user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
	except (binascii.Error, UnicodeDecodeError):
		return None
	return user, password
