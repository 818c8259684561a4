"""Answers that come from a list instead of from a server: any status, headers and body, and nothing is slept through."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.retry import RetryPolicy
from tests.test_connectors import Memory

URL = "http://crm.example"


@dataclass(frozen=True)
class Answer:
	status: int = 200
	headers: Mapping[str, str] = field(default_factory=dict)
	body: bytes = b""


class Endless(AssertionError):
	"""More was asked for than any sensible fetch would."""


class Canned(HTTPAdapter):
	"""Gives answers in their order, the last one again and again; fails the test at `most` requests."""

	def __init__(self, answers: Sequence[Answer], most: int = 100):
		super().__init__()
		self.answers, self.most, self.asked = list(answers), most, 0

	def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
		answer = self.answers[min(self.asked, len(self.answers) - 1)]
		self.asked += 1
		if self.asked > self.most:
			raise Endless(f"{self.most} requests, the last for {request.url[:200]}")
		raw = HTTPResponse(
			io.BytesIO(answer.body),
			headers=HTTPHeaderDict(answer.headers),
			status=answer.status,
			preload_content=False,
			request_method=request.method,
		)
		return self.build_response(request, raw)


def connector(kind: type[BaseConnector], adapter: Canned, secrets: Memory, **options: Any) -> BaseConnector:
	"""Return a connector of a class whose requests the adapter answers; two attempts, no pauses."""
	config = IntegrationConfig("crm", base_url=URL, breaker_threshold=0, **options)
	policy = RetryPolicy(attempts=2, minimum=0, maximum=0, max_wait=10, sleep=lambda _: None)
	made = kind(config, secrets, LocalCoordination(), retry=policy)
	made.session.mount("http://", adapter)
	return made
