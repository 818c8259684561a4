"""Requests to an HTTP endpoint and its responses, whichever endpoint it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

MEGABYTE = 1024 * 1024
DEFAULT_MB = 5
MAX_BODY = DEFAULT_MB * MEGABYTE  # unless an integration's settings say otherwise
PREFIX = "/webhooks/"  # begins the receiver's addresses
HEALTH = "/health"


@dataclass(frozen=True)
class Request:
	"""A request as it arrived. `headers` has lower-case names; `body` is raw, as signed; `url` as the sender called it.

	token: what followed the integration's name in the path, where that is how a sender proves who it is.
	"""

	integration: str
	method: str
	headers: Mapping[str, str]
	body: bytes
	url: str = ""
	query: Mapping[str, str] = field(default_factory=dict)
	token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Response:
	"""An answer: a status and one reason word, as JSON; to a handshake, `content` as it is asked for.

	silent: nothing is sent but status and headers.
	"""

	status: int
	reason: str
	content: str = ""
	mimetype: str = "application/json"
	headers: tuple[tuple[str, str], ...] = ()
	silent: bool = False

	@property
	def body(self) -> dict[str, str]:
		"""Return the JSON object of an answer: its reason word, as `status`."""
		return {"status": self.reason}

	@property
	def text(self) -> str:
		"""Return the text that is sent: the content, else the body as JSON; none of a silent answer."""
		return "" if self.silent else self.content or json.dumps(self.body)

	@property
	def all_headers(self) -> list[tuple[str, str]]:
		"""Return the headers that go with `text`."""
		length = str(len(self.text.encode()))
		# A challenge is text, whatever it looks like.
		own = [
			("Content-Type", self.mimetype),
			("Content-Length", length),
			("X-Content-Type-Options", "nosniff"),
		]
		return [*own, *self.headers]


BUSY = Response(503, "busy", headers=(("Retry-After", "5"),))
NOT_STORED = Response(503, "not_stored")


def integration_at(path: str) -> str | None:
	"""Return the integration that a path of the receiver names, None if it is no such path."""
	return path.removeprefix(PREFIX).strip("/") if path.startswith(PREFIX) else None


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
	"""Return headers by lower-case name; what is sent more than once is joined by a comma (RFC 9110, 5.3)."""
	found: dict[str, str] = {"content-type": ""}
	for name, value in headers:
		name = name.lower()
		found[name] = f"{found[name]},{value}" if found.get(name) else value
	return found


def first_values(query: str) -> dict[str, str]:
	"""Return the parameters of a query; of one that is sent more than once, the first."""
	return dict(reversed(parse_qsl(query, keep_blank_values=True)))
