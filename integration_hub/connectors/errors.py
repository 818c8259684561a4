"""Errors of calls to an external system, one class a kind.

Every error carries what a person needs (method, url, status, a short redacted body) and what the retry
policy needs (`retry`: does a repeat help, and is it safe?).
"""

from __future__ import annotations

from typing import Literal

Retry = Literal["always", "if idempotent", "never"]


class ConnectorError(Exception):
	"""Base of all connector errors.

	`sentence` is one plain English sentence for a person; the Frappe side translates it. All text passed
	in must be redacted already: errors travel into logs.
	"""

	kind = "Error"
	sentence = "The request to the external system failed."
	retry: Retry = "never"
	is_redacted = True  # what it says of request and answer may be kept
	cause = ""  # the cause that all failures with this error share, in any stream or call of the system; "" if each has its own

	def __init__(
		self,
		detail: str = "",
		*,
		said: str = "",
		method: str = "",
		url: str = "",
		status: int | None = None,
		body: str = "",
		retry_after: float | None = None,
	) -> None:
		"""Make an error of a request and its answer. said: the answer's own words, which others chose."""
		self._told, self._said = detail, said
		self.method, self.url = method, url
		self.status, self.body, self.retry_after = status, body, retry_after
		super().__init__(str(self))

	@property
	def detail(self) -> str:
		"""Return details for a person: ours, then the words of the answer."""
		return " ".join(part for part in (self._told, self._said) if part)

	@property
	def distinct(self) -> str:
		"""Return the text without the words of the answer: a failure stays the same one, whatever each answer says."""
		return self._text(self._told)

	def about(self, other: ConnectorError) -> ConnectorError:
		"""Take the request and the answer of `other` where this error has none of its own; return this error."""
		if not self.url:
			self.method, self.url, self.status, self.body = other.method, other.url, other.status, other.body
			self._said = self._said or other._said
			self.args = (str(self),)
		return self

	def __str__(self) -> str:
		return self._text(self.detail)

	def _text(self, detail: str) -> str:
		request = f"{self.method} {self.url}".strip()
		parts = [
			self.sentence,
			detail,
			request and f"[{request}]",
			self.status and f"HTTP {self.status}",
		]
		return " ".join(str(part) for part in parts if part)


class ConfigurationError(ConnectorError):
	"""A setting is missing or wrong; `field` names it."""

	kind = "Configuration"
	sentence = "The settings are incomplete or wrong."

	def __init__(self, detail: str, *, field: str = "", **context) -> None:
		self.field = field
		super().__init__(detail, **context)

	@property
	def cause(self) -> str:
		"""Return the setting and the fault, without the request that met it."""
		return f"{self.field} {self._told}"


class AuthenticationFailed(ConnectorError):
	"""The credentials, or the token made of them, were refused (HTTP 401)."""

	kind, sentence = "Authentication", "Authentication failed. Check credentials."


class AccessDenied(ConnectorError):
	"""The credentials are good, and do not allow this request (HTTP 403)."""

	kind, sentence = "Permission", "Access denied. Check permissions."


class NotFound(ConnectorError):
	"""The source knows no such resource (HTTP 404)."""

	kind, sentence = "Not Found", "Resource not found."


class Gone(ConnectorError):
	"""The resource is no longer there (HTTP 410); of a change feed, the cursor has expired."""

	kind, sentence = "Gone", "The external system no longer has this."


class Conflict(ConnectorError):
	"""The request contradicts the state of the resource (HTTP 409)."""

	kind, sentence = "Conflict", "The external system reports a conflict."


class InvalidRequest(ConnectorError):
	"""The source refused the data that was sent (HTTP 400, 413 or 422)."""

	kind, sentence = "Validation", "The external system refused the data."

	def __init__(self, detail: str = "", *, method: str = "", **context) -> None:
		if method.upper() in ("GET", "HEAD"):  # which carries no data
			self.sentence = "The external system refused the request."
		super().__init__(detail, method=method, **context)


class UnexpectedStatus(ConnectorError):
	"""The answer has a status that no other error stands for."""

	kind, sentence = "Unexpected Status", "The external system sent an unexpected response."


class RateLimited(ConnectorError):
	"""429, or a 403 that says so: the server did not act on the request, so any method may be repeated."""

	kind, sentence, retry = "Rate Limit", "Rate limited. Please wait.", "always"


class ServerError(ConnectorError):
	"""The source failed (HTTP 5xx); only an idempotent request is repeated."""

	kind, sentence, retry = "Server", "Server error on the external system.", "if idempotent"


class ConnectionFailed(ConnectorError):
	"""No connection was made, so nothing was sent."""

	kind, sentence, retry = "Connection", "Connection failed. Check the address and your network.", "always"
	cause = "No connection"


class AddressNotAllowed(ConnectionFailed):
	"""The host belongs to a private network that may not be called; a repeat would not help."""

	sentence, retry = "The address is not allowed.", "never"
	cause = "Not allowed"


class InsecureConnection(ConnectionFailed):
	"""TLS could not be agreed on: a certificate that does not verify, or a server that speaks plain HTTP there.

	A repeat would not help.
	"""

	sentence, retry = "No secure connection could be made. Check the address and its certificate.", "never"
	cause = "Not secure"


class ConnectionBroken(ConnectorError):
	"""The connection broke after sending; the server may have acted."""

	kind, sentence, retry = (
		"Connection",
		"The connection broke before the response was complete.",
		"if idempotent",
	)


class RequestTimeout(ConnectorError):
	"""No answer in time (or 408); the server may have acted."""

	kind, sentence, retry = "Timeout", "Request timed out. Please try again.", "if idempotent"


class RequestNotReceived(RequestTimeout):
	"""408, 425: the server gave up waiting for the request, or found it too early: it did not act (RFC 9110, RFC 8470)."""

	retry = "always"


class ServerCannot(ServerError):
	"""A 5xx that a repeat does not mend (501 Not Implemented, 505, …)."""

	retry = "never"


class TooLarge(ConnectorError):
	"""The answer is larger than the settings allow; the rest of it was not read."""

	kind, sentence = "Too Large", "The response is larger than the settings allow."


class MalformedAnswer(ConnectorError):
	"""The answer is not what it claims to be (not JSON, records missing)."""

	kind, sentence = "Malformed Answer", "The response could not be read."


class RefusedWithin(MalformedAnswer):
	"""A success by its status that says within that the request failed: `{"ok": false}`, GraphQL's `errors`."""

	kind, sentence = "Error in Answer", "The external system answered with an error."


class RetryLater(ConnectorError):
	"""The server asks for a longer pause than a worker may sleep: give the worker back.

	`seconds` is how long to wait; the caller reschedules itself.
	"""

	kind, sentence = "Retry Later", "The external system asks for a pause."

	def __init__(self, seconds: float, detail: str = "", **context) -> None:
		self.seconds = seconds
		super().__init__(detail or f"Next try in {seconds:.0f} s.", **context)


class Paused(RetryLater):
	"""The rate budget is used up until then, or the system asked for a pause; nothing was sent."""

	sentence = "Requests are paused."


class BreakerOpen(RetryLater):
	"""The system failed several times in a row; nothing is sent to it for a while."""

	kind, sentence = "Circuit Open", "The external system has failed repeatedly; requests are paused."


BY_STATUS: dict[int, type[ConnectorError]] = {
	400: InvalidRequest,
	401: AuthenticationFailed,
	403: AccessDenied,
	404: NotFound,
	408: RequestNotReceived,
	409: Conflict,
	410: Gone,
	413: InvalidRequest,
	420: RateLimited,
	422: InvalidRequest,
	425: RequestNotReceived,
	429: RateLimited,
}


# May come from before the system or from the system itself, which may have acted: as with 504, only what is safe to
# repeat is. 520 to 525 and 530 are Cloudflare's words for it, 529 is an overload, 598 and 599 are proxies' timeouts.
_PASSING = frozenset({500, 502, 503, 504, 509, *range(520, 526), 527, 529, 530, 598, 599})


def error_class(status: int) -> type[ConnectorError]:
	"""Return the error class for an HTTP status of 300 or above."""
	if status in BY_STATUS:
		return BY_STATUS[status]
	if status >= 500:
		return ServerError if status in _PASSING else ServerCannot
	return UnexpectedStatus
