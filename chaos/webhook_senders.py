"""Webhook senders: each posts one event after the other, and repeats it until it is answered, as providers do."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import requests

from chaos.faulty_crm import Source
from chaos.ledger import Ledger
from integration_hub.sandbox import sender

_MOODS = {"": 90, "fails": 4, "defers": 3, "slow": 2, "kills": 1}
_PAUSE = 0.02
_GIVE_UP = 90.0  # seconds; the longest disturbance is a few
_TRIES = 200  # a machine that stands still meanwhile is nobody's fault
_TIMEOUT = 5.0


class News:
	"""The CRM's changes, each of them to be told once."""

	def __init__(self, crm: Source):
		self._crm, self._lock = crm, threading.Lock()
		self._at = crm.customers.counts()["changes"]

	def next(self) -> dict[str, Any] | None:
		"""Return the next entry of the change feed, None if there is none."""
		with self._lock:
			try:
				found, self._at = self._crm.customers.changes(self._at, 1)
			except LookupError:  # the feed was forgotten
				self._at = self._crm.customers.counts()["changes"]
				return None
			return found[0] if found else None


@dataclass(frozen=True)
class Post:
	"""Where a sender posts to."""

	url: str
	headers: Mapping[str, str]


class Sender(threading.Thread):
	"""One lane: events of all kinds, whose effects have to come in their order."""

	def __init__(
		self,
		lane: int,
		endpoint: Post,
		news: News,
		ledger: Ledger,
		seed: int,
		stop: threading.Event,
		pace: float,
	):
		super().__init__(name=f"sender-{lane}", daemon=True)
		self._key, self._endpoint, self._news, self._ledger = f"lane-{lane}", endpoint, news, ledger
		self._dice, self._over = random.Random(f"{seed} sender {lane}"), stop
		self._pace = pace
		self._last: dict[str, Any] | None = None  # the effect that was taken last

	def run(self) -> None:
		kinds = {self._effect: 12, self._tell: 6, self._repeat: 1}
		kinds |= {self._forge: 1, self._contradict: 1, self._send_unknown: 1}
		number = 0
		while not self._over.wait(_PAUSE * self._pace):
			number += 1
			[kind] = self._dice.choices(list(kinds), list(kinds.values()))
			try:
				kind(number)
			except TimeoutError as error:
				self._ledger.surprise(str(error))

	def _effect(self, number: int) -> None:
		mark = f"{self._key}-{number}"
		[mood] = self._dice.choices(list(_MOODS), list(_MOODS.values()))
		body = {"id": mark, "event": "effect.made", "key": self._key, "n": number, "mark": mark, "mood": mood}
		self._ledger.sent.add(mark)
		self._expect(self._deliver(body), "received", "duplicate")
		self._ledger.confirmed.add(mark)
		self._ledger.count("effects")
		self._last = body

	def _tell(self, number: int) -> None:
		entry = self._news.next()
		if not entry:
			return
		record, name = entry["record"], f"{self._key}-news-{number}"
		body = {"id": name, "event": f"customer.{entry['type']}", "key": record["id"], "data": record}
		self._expect(self._deliver(body), "received", "duplicate")
		bad = entry["type"] != "deleted" and isinstance(record["credit_limit"], str)
		if bad:
			self._ledger.bad_news[name] = (record["id"], record["updated_at"])
		else:
			self._ledger.news.add(name)
		self._ledger.count("news")

	def _repeat(self, number: int) -> None:
		if self._last:
			self._expect(self._deliver(self._last), "duplicate")
			self._ledger.count("repeated")

	def _contradict(self, number: int) -> None:
		"""Another body under an id that was taken."""
		if self._last:
			self._expect(self._deliver({**self._last, "n": -1}), "conflict")
			self._ledger.conflicts.add(self._last["id"])
			self._ledger.count("contradicting")

	def _forge(self, number: int) -> None:
		body = {"id": f"{self._key}-forged-{number}", "event": "effect.made", "mark": "forged"}
		self._expect(self._deliver(body, secret="guessed"), "signature_wrong")  # noqa: S106
		self._ledger.forged.add(body["id"])
		self._ledger.count("forged")

	def _send_unknown(self, number: int) -> None:
		body = {"id": f"{self._key}-unknown-{number}", "event": "nobody.knows"}
		self._expect(self._deliver(body), "unrouted", "duplicate")
		self._ledger.unrouted.add(body["id"])
		self._ledger.count("unrouted")

	def _deliver(self, event: dict[str, Any], secret: str = sender.SECRET) -> str:
		"""Post until there is an answer below 500; return its word. Raises TimeoutError if there never is."""
		body = json.dumps(event).encode()
		headers = {"Content-Type": "application/json", sender.HEADER: sender.sign(body, secret)}
		headers |= self._endpoint.headers
		until, answer = time.monotonic() + _GIVE_UP, "none"
		for tries in count(1):
			if time.monotonic() > until and tries > _TRIES:
				break
			try:
				response = requests.post(self._endpoint.url, data=body, headers=headers, timeout=_TIMEOUT)
				answer = str(response.status_code)
				if response.status_code < 500:
					return response.json()["status"]
				self._ledger.count(f"answered {response.status_code}")
			except (requests.RequestException, ValueError) as error:
				answer = type(error).__name__
				self._ledger.count("not answered")
			time.sleep(0.1)
		raise TimeoutError(f"{event['id']} was not taken in {_GIVE_UP:.0f} s; last answer {answer}")

	def _expect(self, answer: str, *words: str) -> None:
		if answer not in words:
			self._ledger.surprise(f"{self.name} was answered {answer}, not {' or '.join(words)}")
