"""The consumer of an integration's external queue."""

from __future__ import annotations

from integration_hub.queues.base import Consumed, Consumer
from integration_hub.queues.lists import ListConsumer
from integration_hub.queues.pinned import owners_client, pinned_client
from integration_hub.queues.streams import StreamConsumer
from integration_hub.stores.home import Home, HubError

__all__ = ["OPERATION", "Consumed", "Consumer", "SwitchedOff", "consumer_for"]

_KINDS = {kind.kind: kind for kind in (ListConsumer, StreamConsumer)}
_TIMEOUTS = {"socket_connect_timeout": 5, "socket_timeout": 30}


OPERATION = "Queue"  # in the error log


class SwitchedOff(HubError):
	"""The integration or its queue is disabled."""


def consumer_for(home: Home, integration: str, name: str = "consumer", fallback_url: str = "") -> Consumer:
	"""Return the consumer of an integration; raises SwitchedOff, and HubError where its settings are wrong."""
	config = home.integration(integration)
	place = {"doctype": "Integration Settings", "name": integration}
	if not config.enabled:
		raise SwitchedOff("is disabled", field="enabled", **place)
	if not config.queue_enabled:
		raise SwitchedOff("does not consume a queue", field="queue_enabled", **place)
	if config.queue_kind not in _KINDS:
		raise HubError("is neither List nor Stream", field="queue_kind", **place)
	url = home.secrets(integration).get("queue_url")
	try:
		if url:
			client = pinned_client(url, home.allowed_hosts(), **_TIMEOUTS)
		elif not fallback_url:
			raise HubError("is empty", field="queue_url", **place)
		else:  # the site's owner wrote it into the site's own configuration
			client = owners_client(fallback_url, **_TIMEOUTS)
	except (ValueError, OSError) as error:
		raise HubError(str(error), field="queue_url", **place) from None
	return _KINDS[config.queue_kind](home, config, client, name)
