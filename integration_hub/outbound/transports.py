"""The ways a step is sent: as an HTTP request of the integration's connector, signed where the stream says so, or to Redis."""

from __future__ import annotations

from typing import Any

import requests

from integration_hub.connectors.base import BaseConnector
from integration_hub.outbound.config import OutboundStream
from integration_hub.outbound.deliver import Send
from integration_hub.outbound.steps import Step
from integration_hub.stores.runtime import Runtime


def sender(runtime: Runtime, stream: OutboundStream, connector: BaseConnector) -> Send:
	"""Return what sends the steps of a stream."""
	return lambda step: send_http(stream, connector, step)


def send_http(stream: OutboundStream, connector: BaseConnector, step: Step) -> requests.Response:
	"""Send a step as a request; return the answer. Raises ConnectorError."""
	options: dict[str, Any] = {"headers": dict(step.headers)}
	if step.kind not in ("look up", "read", "delete"):
		options["json"] = step.body
	if step.key and stream.idempotency_keys and step.kind in ("create", "update", "message"):
		options["idempotency_key"] = step.key
	return connector.request(step.method, step.path, raw=True, **options)
