"""The consumer of an integration's external queue."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import redis

from integration_hub.queues.base import Consumed, Consumer
from integration_hub.queues.pinned_connections import owners_client, pinned_client
from integration_hub.queues.redis_list import ListConsumer
from integration_hub.queues.redis_stream import StreamConsumer
from integration_hub.queues.state import OPERATION
from integration_hub.stores.runtime import HubError, Runtime

__all__ = ["OPERATION", "Consumed", "Consumer", "SwitchedOff", "consumer_for"]

_KINDS = {kind.kind: kind for kind in (ListConsumer, StreamConsumer)}
_TIMEOUTS = {"socket_connect_timeout": 5, "socket_timeout": 30}


class SwitchedOff(HubError):
	"""The integration or its queue is disabled."""


def consumer_for(
	runtime: Runtime, integration: str, name: str = "consumer", fallback_url: str = ""
) -> Consumer:
	"""Return the consumer of an integration; raises SwitchedOff, and HubError where its settings are wrong."""
	config = runtime.integration(integration)
	place = {"doctype": "Integration Settings", "name": integration}
	if not config.enabled:
		raise SwitchedOff("is disabled", field="enabled", **place)
	if not config.queue_enabled:
		raise SwitchedOff("does not consume a queue", field="queue_enabled", **place)
	if config.queue_kind not in _KINDS:
		raise HubError("is neither List nor Stream", field="queue_kind", **place)
	if config.queue_end not in ("Right", "Left"):
		raise HubError("is neither Right nor Left", field="queue_end", **place)
	url = runtime.secrets(integration).get("queue_url")
	if not (url or fallback_url):
		raise HubError("is empty", field="queue_url", **place)

	def connect(url: str) -> redis.Redis:
		if url_of_person:
			return pinned_client(url, runtime.allowed_hosts(), **_TIMEOUTS)
		return owners_client(url, **_TIMEOUTS)  # the site's owner wrote it into the site's own configuration

	def follow(host: str, port: int) -> redis.Redis:
		return connect(_at(start, host, port))

	url_of_person, start = bool(url), str(url or fallback_url)
	try:
		client = connect(start)
	except (ValueError, OSError) as error:
		raise HubError(str(error), field="queue_url", **place) from None
	return _KINDS[config.queue_kind](runtime, config, client, name, follow)


def client_for(runtime: Runtime, integration: str) -> redis.Redis:
	"""Return a client of the Redis that an integration names, else of the site's; raises HubError where there is none."""
	place = {"doctype": "Integration Settings", "name": integration, "field": "queue_url"}
	url = runtime.secrets(integration).get("queue_url")
	try:
		if url:
			return pinned_client(url, runtime.allowed_hosts(), **_TIMEOUTS)
		if fallback := runtime.external_redis_url():
			return owners_client(fallback, **_TIMEOUTS)
	except (ValueError, OSError) as error:
		raise HubError(str(error), **place) from None
	raise HubError("is empty", **place)


def _at(url: str, host: str, port: int) -> str:
	"""Return a URL with another place in it; host: "" for the same."""
	parts = urlsplit(url)
	login, at, _ = parts.netloc.rpartition("@")
	host = host or parts.hostname or ""
	return urlunsplit(parts._replace(netloc=f"{login}{at}{f'[{host}]' if ':' in host else host}:{port}"))
