"""What arrives at an HTTP door and what is sent back, whichever door it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_BODY = 5 * 1024 * 1024


@dataclass(frozen=True)
class Request:
	"""What arrived. `headers` has lower-case names; `body` is raw, as signed; `url` as the sender called it."""

	integration: str
	method: str
	headers: Mapping[str, str]
	body: bytes
	url: str = ""
	query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
	"""What is sent back: a status and one reason word, as JSON; to a handshake, `content` as it is asked for."""

	status: int
	reason: str
	content: str = ""
	mimetype: str = "application/json"

	@property
	def body(self) -> dict[str, str]:
		return {"status": self.reason}

	@property
	def text(self) -> str:
		return self.content or json.dumps(self.body)
