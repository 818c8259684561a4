"""The consumer of an integration's external queue."""

from __future__ import annotations

from urllib.parse import urlsplit

import redis

from integration_hub.connectors.guard import vetted
from integration_hub.queues.base import Consumed, Consumer
from integration_hub.queues.lists import ListConsumer
from integration_hub.queues.streams import StreamConsumer
from integration_hub.stores.home import Home, HubError

__all__ = ["Consumed", "Consumer", "consumer_for"]

_KINDS = {kind.kind: kind for kind in (ListConsumer, StreamConsumer)}


def consumer_for(home: Home, integration: str, name: str = "consumer", fallback_url: str = "") -> Consumer:
	"""Return the consumer of an integration; raises HubError where its queue is off or has no URL."""
	config = home.integration(integration)
	place = {"doctype": "Integration Settings", "name": integration}
	if not config.enabled:
		raise HubError("is disabled", field="enabled", **place)
	if not config.queue_enabled:
		raise HubError("does not consume a queue", field="queue_enabled", **place)
	if config.queue_kind not in _KINDS:
		raise HubError("is neither List nor Stream", field="queue_kind", **place)
	url = home.secrets(integration).get("queue_url")
	try:
		if url:
			_vet(url, home.allowed_hosts())
		elif not fallback_url:
			raise HubError("is empty", field="queue_url", **place)
		else:
			url = fallback_url  # the site's owner wrote it into the site's own configuration
		client = redis.from_url(url, socket_connect_timeout=5, socket_timeout=30)
	except (ValueError, OSError) as error:
		raise HubError(str(error), field="queue_url", **place) from None
	return _KINDS[config.queue_kind](home, config, client, name)


def _vet(url: str, allowed: list[str]) -> None:
	"""Raise OSError or ValueError unless a person who is not the site's owner may point the consumer there."""
	parts = urlsplit(url)
	if parts.scheme not in ("redis", "rediss") or not parts.hostname:
		raise ValueError("must be redis://HOST:PORT/DATABASE or rediss://…")
	vetted(parts.hostname, parts.port or 6379, frozenset(host.lower() for host in allowed))
