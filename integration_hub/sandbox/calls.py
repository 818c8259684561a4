"""A request to the sandbox, and its reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class BadQuery(ValueError):
	"""A query parameter or a value of the body cannot be used."""


@dataclass(frozen=True)
class Call:
	"""A request to the sandbox. `headers` has lower-case names."""

	method: str
	path: str
	query: Mapping[str, str]
	headers: Mapping[str, str]
	body: bytes = b""
	target: str = ""  # path and query as they were sent

	def json(self) -> Any:
		"""Return the parsed body, an empty dictionary for an empty one; raises ValueError."""
		return json.loads(self.body or b"{}")


@dataclass
class Reply:
	"""An answer of the sandbox; `body` is sent as JSON, bytes as they are."""

	status: int
	body: Any = None
	headers: dict[str, str] = field(default_factory=dict)
