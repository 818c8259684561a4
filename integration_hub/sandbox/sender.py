"""Webhooks the sandbox signs and sends."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from typing import Any

import requests

SECRET = "sandbox-webhook-secret"  # noqa: S105 - the sandbox guards nothing
HEADER = "X-Webhook-Signature"


@dataclass(frozen=True)
class Delivery:
	"""One event as sent: its id, its raw body, and the headers that prove it."""

	event_id: str
	body: bytes
	headers: dict[str, str]


def sign(body: bytes, secret: str = SECRET) -> str:
	"""Return the hex HMAC-SHA256 of a body."""
	return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def make(event: str, record: dict[str, Any], secret: str = SECRET) -> Delivery:
	"""Make a signed delivery: `{"id", "event", "data"}`."""
	event_id = f"evt_{uuid.uuid4().hex}"
	body = json.dumps({"id": event_id, "event": event, "data": record}, ensure_ascii=False).encode()
	headers = {"Content-Type": "application/json", HEADER: sign(body, secret), "User-Agent": "sandbox-crm"}
	return Delivery(event_id, body, headers)


def send(url: str, delivery: Delivery, timeout: float = 10) -> requests.Response:
	"""POST a delivery."""
	return requests.post(url, data=delivery.body, headers=delivery.headers, timeout=timeout)
