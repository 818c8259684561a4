"""Transports of a step: an HTTP request of the integration's connector, signed where the stream says so, or Redis."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import redis
import requests

from integration_hub.connectors import errors
from integration_hub.connectors.base import BaseConnector
from integration_hub.lazy_messages import _
from integration_hub.outbound.config import OutboundStream
from integration_hub.outbound.deliver import Send
from integration_hub.outbound.signing import signed_headers
from integration_hub.outbound.steps import Step
from integration_hub.queues.consumer import client_for
from integration_hub.stores.runtime import Runtime

_MOST_IN_A_STREAM = 1_000_000  # entries of a Redis stream that nobody trims


def sender(runtime: Runtime, stream: OutboundStream, connector: BaseConnector) -> Send:
	"""Return what sends the steps of a stream."""
	if stream.send_to == "HTTP":
		return lambda step: send_http(stream, connector, step)
	client = client_for(runtime, stream.integration)
	return lambda step: send_redis(stream, client, step)


def send_http(stream: OutboundStream, connector: BaseConnector, step: Step) -> requests.Response:
	"""Send a step as a request; return the answer. Raises ConnectorError."""
	headers, options = dict(step.headers), {}
	if step.kind not in ("look up", "read", "delete"):
		body = json.dumps(step.body, ensure_ascii=False, separators=(",", ":"), default=str).encode()
		headers = {"Content-Type": "application/json", **headers, **_signature(stream, connector, step, body)}
		options["data"] = body
	if step.key and stream.idempotency_keys and step.kind in ("create", "update", "message"):
		options["idempotency_key"] = step.key
	response = connector.request(step.method, step.path, raw=True, headers=headers, **options)
	if not 200 <= response.status_code < 300:  # a redirect, which no request that changes something follows
		raise errors.UnexpectedStatus(
			_("It redirects to another address."),
			method=step.method,
			url=connector.redactor.text(response.url, 300),
			status=response.status_code,
		)
	return response


def _signature(stream: OutboundStream, connector: BaseConnector, step: Step, body: bytes) -> dict[str, str]:
	return signed_headers(stream.signature, connector.secrets.get("signing_secret") or "", step.key, body)


def send_redis(stream: OutboundStream, client: redis.Redis, step: Step) -> requests.Response:
	"""Add a step as a message to a Redis stream or list; its id is the same each time. Raises ConnectorError."""
	text = json.dumps(_message(stream, step), ensure_ascii=False, separators=(",", ":"), default=str)
	try:
		if stream.send_to == "Redis Stream":
			client.xadd(stream.redis_key, {"payload": text}, maxlen=_MOST_IN_A_STREAM, approximate=True)
		else:
			client.lpush(stream.redis_key, text)
	except redis.ConnectionError as error:
		raise errors.ConnectionFailed(f"Redis: {type(error).__name__}") from None
	except redis.RedisError as error:
		raise errors.ServerError(f"Redis: {error}"[:300]) from None
	answer = requests.Response()
	answer.status_code, answer._content = 200, b""
	return answer


def _message(stream: OutboundStream, step: Step) -> dict[str, Any]:
	"""Return a message as this app's own consumers read it: an id, a type, a time and the data."""
	now = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
	return {"id": step.key, "type": step.type or stream.name, "timestamp": now, "data": step.body}
