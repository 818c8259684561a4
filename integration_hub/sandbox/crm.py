"""The sandbox's CRM, whatever serves it: what it holds, and what can be done to it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import requests

from integration_hub.sandbox import sender
from integration_hub.sandbox.access import Budget, Tokens
from integration_hub.sandbox.calls import Call, Reply
from integration_hub.sandbox.data import Customers
from integration_hub.sandbox.faults import Faults
from integration_hub.sandbox.list_quirks import MOODS
from integration_hub.sandbox.receiving import Received


class CRM:
	"""Customers, a change feed, OAuth2, a request budget, faults, webhooks."""

	def __init__(
		self,
		customers: int = 250,
		seed: int = 1,
		*,
		token_lifetime: float = 3600,
		budget: int = 0,
		period: float = 10,
		latency: float = 0,
		takes_orders: bool = True,
	) -> None:
		"""Make a CRM with customers. takes_orders: requests below /_sandbox/ change them, make faults and send webhooks."""
		self.takes_orders = takes_orders
		self.customers = Customers(customers, seed)
		self.tokens = Tokens(token_lifetime)
		self.budget = Budget(budget, period)
		self.faults = Faults(seed)
		self.latency = latency
		self.requests = 0
		self.mood = ""  # how /v1/customers/page lists: see sandbox.list_quirks
		self.lists: dict[str, list[dict[str, Any]]] = {}  # more of what it has: name → what /v1/<name> lists
		self.received: dict[
			str, Received
		] = {}  # collections that records are sent to, as /v1/received/<name>
		self.pushed: dict[str, Any] = {}
		self.pushed_lock = threading.Lock()
		self._random = random.Random(seed)

	def receive(self, name: str, **options: Any) -> Received:
		"""Return a collection that records are sent to, made with `options` where there is none."""
		with self.pushed_lock:
			return self.received.setdefault(name, Received(name, **options))

	def counts(self) -> dict[str, Any]:
		"""Return what the sandbox holds and what happened to it, for comparison."""
		return {
			**self.customers.counts(),
			"requests": self.requests,
			"tokens_issued": self.tokens.issued,
			"tokens_refused": self.tokens.refused,
			"refused_by_budget": self.budget.refused,
			"faults": dict(self.faults.met),
		}

	def be(self, mood: str) -> str:
		"""Put the sandbox in a mood, "" for none; return it. Raises ValueError for an unknown one."""
		if mood and mood not in MOODS:
			raise ValueError(f"{mood!r} is not one of {', '.join(MOODS)}")
		self.mood = mood
		return mood

	def change(self, create: int = 0, update: int = 0, delete: int = 0) -> dict[str, int]:
		"""Change customers at random; return the counts after."""
		self.customers.delete(delete)
		self.customers.update(update)
		self.customers.create(create)
		return self.customers.counts()

	def deliver(
		self,
		url: str,
		ids: Iterable[str] = (),
		event: str = "customer.updated",
		times: int = 1,
		secret: str = "",
	) -> dict[str, Any]:
		"""Send a signed webhook for each customer, `times` times over; return the statuses answered, 0 for none.

		{"statuses": [number]}, and "problem": why, where the last one was not answered.
		"""
		statuses, problem = [], ""
		for id in ids:
			record = self.customers.get(id)
			if record is None:
				raise ValueError(f"customer {id} does not exist")
			delivery = sender.make(event, record, secret or sender.SECRET)
			for _ in range(times):
				status, problem = self._attempt(url, delivery)
				statuses.append(status)
		return {"statuses": statuses, **({"problem": problem} if problem else {})}

	def token(self, call: Call) -> Reply:
		"""Answer the token endpoint of OAuth 2 (RFC 6749, section 5); the answer is not to be cached."""
		form = dict(parse_qsl(call.body.decode("utf-8", "replace")))
		status, body = self.tokens.answer(form, call.headers.get("authorization", ""))
		return Reply(status, body, {"Cache-Control": "no-store"})

	@staticmethod
	def _attempt(url: str, delivery: sender.Delivery, tries: int = 5) -> tuple[int, str]:
		"""Send, and again after a failure, as providers do; return the last status, 0 for none, and why there is none."""
		status, problem = 0, ""
		for attempt in range(tries):
			try:
				status, problem = sender.send(url, delivery).status_code, ""
			except requests.RequestException as error:
				status, problem = 0, str(error)
			if 0 < status < 500:
				break
			time.sleep(0.1 * 2**attempt)
		return status, problem
